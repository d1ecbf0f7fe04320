//! The functions that expressions may call, with their types.
//!
//! What Kubernetes' CEL has and this has not: `authorizer`, `cel.block`, `type()` and type values,
//! time zones in `getHours('Europe/Paris')` and the like, `string.format()` of lists with times in
//! Kubernetes' own notation, and protobuf messages. A call to a function that is not here
//! is refused when the policy is loaded.

use super::types::Type;
use std::{collections::BTreeMap, sync::LazyLock};

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Overload {
    pub(super) receiver: Option<Type>,
    pub(super) args: Vec<Type>,
    pub(super) result: Type,
    /// As the table writes it, for messages.
    pub(super) text: &'static str,
}

/// One line for each overload: `receiver.name(args) result`. A, B stand for any type.
const TABLE: &str = "\
size(string) int
size(bytes) int
size(list<A>) int
size(map<A, B>) int
string.size() int
bytes.size() int
list<A>.size() int
map<A, B>.size() int
string.contains(string) bool
string.startsWith(string) bool
string.endsWith(string) bool
string.matches(string) bool
matches(string, string) bool
string.find(string) string
string.findAll(string) list<string>
string.findAll(string, int) list<string>
string.charAt(int) string
string.indexOf(string) int
string.indexOf(string, int) int
string.lastIndexOf(string) int
string.lastIndexOf(string, int) int
string.lowerAscii() string
string.upperAscii() string
string.replace(string, string) string
string.replace(string, string, int) string
string.split(string) list<string>
string.split(string, int) list<string>
string.substring(int) string
string.substring(int, int) string
string.trim() string
string.reverse() string
string.format(list<dyn>) string
list<string>.join() string
list<string>.join(string) string
strings.quote(string) string
bool(bool) bool
bool(string) bool
int(int) int
int(uint) int
int(double) int
int(string) int
int(timestamp) int
uint(int) uint
uint(uint) uint
uint(double) uint
uint(string) uint
double(int) double
double(uint) double
double(double) double
double(string) double
string(string) string
string(bool) string
string(int) string
string(uint) string
string(double) string
string(bytes) string
string(timestamp) string
string(duration) string
string(IP) string
string(CIDR) string
bytes(string) bytes
bytes(bytes) bytes
dyn(A) dyn
timestamp(string) timestamp
timestamp(int) timestamp
timestamp(timestamp) timestamp
duration(string) duration
duration(duration) duration
timestamp.getFullYear() int
timestamp.getMonth() int
timestamp.getDate() int
timestamp.getDayOfMonth() int
timestamp.getDayOfWeek() int
timestamp.getDayOfYear() int
timestamp.getHours() int
timestamp.getMinutes() int
timestamp.getSeconds() int
timestamp.getMilliseconds() int
duration.getHours() int
duration.getMinutes() int
duration.getSeconds() int
duration.getMilliseconds() int
optional.of(A) optional<A>
optional.ofNonZeroValue(A) optional<A>
optional.none() optional<dyn>
optional<A>.hasValue() bool
optional<A>.value() A
optional<A>.or(optional<A>) optional<A>
optional<A>.orValue(A) A
list<A>.isSorted() bool
list<A>.sum() A
list<A>.min() A
list<A>.max() A
list<A>.indexOf(A) int
list<A>.lastIndexOf(A) int
list<A>.slice(int, int) list<A>
list<A>.sort() list<A>
list<A>.reverse() list<A>
list<A>.distinct() list<A>
list<A>.flatten() list<dyn>
list<A>.flatten(int) list<dyn>
list<A>.first() optional<A>
list<A>.last() optional<A>
lists.range(int) list<int>
sets.contains(list<A>, list<A>) bool
sets.equivalent(list<A>, list<A>) bool
sets.intersects(list<A>, list<A>) bool
math.ceil(double) double
math.floor(double) double
math.round(double) double
math.trunc(double) double
math.abs(A) A
math.sign(A) A
math.sqrt(double) double
math.isInf(double) bool
math.isNaN(double) bool
math.isFinite(double) bool
math.bitAnd(int, int) int
math.bitOr(int, int) int
math.bitXor(int, int) int
math.bitNot(int) int
math.bitShiftLeft(int, int) int
math.bitShiftRight(int, int) int
math.greatest(list<A>) A
math.greatest(A, A) A
math.greatest(A, A, A) A
math.least(list<A>) A
math.least(A, A) A
math.least(A, A, A) A
base64.encode(bytes) string
base64.decode(string) bytes
json.parse(string) dyn
jsonpatch.escapeKey(string) string
url(string) URL
isURL(string) bool
URL.getScheme() string
URL.getHost() string
URL.getHostname() string
URL.getPort() string
URL.getEscapedPath() string
URL.getQuery() map<string, list<string>>
quantity(string) Quantity
isQuantity(string) bool
Quantity.isInteger() bool
Quantity.asInteger() int
Quantity.asApproximateFloat() double
Quantity.sign() int
Quantity.add(Quantity) Quantity
Quantity.add(int) Quantity
Quantity.sub(Quantity) Quantity
Quantity.sub(int) Quantity
Quantity.isGreaterThan(Quantity) bool
Quantity.isLessThan(Quantity) bool
Quantity.compareTo(Quantity) int
semver(string) Semver
isSemver(string) bool
Semver.major() int
Semver.minor() int
Semver.patch() int
Semver.isGreaterThan(Semver) bool
Semver.isLessThan(Semver) bool
Semver.compareTo(Semver) int
ip(string) IP
isIP(string) bool
ip.isCanonical(string) bool
IP.family() int
IP.isLoopback() bool
IP.isUnspecified() bool
IP.isLinkLocalMulticast() bool
IP.isLinkLocalUnicast() bool
IP.isGlobalUnicast() bool
cidr(string) CIDR
isCIDR(string) bool
CIDR.containsIP(string) bool
CIDR.containsIP(IP) bool
CIDR.containsCIDR(string) bool
CIDR.containsCIDR(CIDR) bool
CIDR.ip() IP
CIDR.masked() CIDR
CIDR.prefixLength() int
format.dns1123Label() Format
format.dns1123Subdomain() Format
format.dns1035Label() Format
format.qualifiedName() Format
format.labelValue() Format
format.uri() Format
format.uuid() Format
format.byte() Format
format.date() Format
format.datetime() Format
Format.validate(string) optional<list<string>>
";

/// Words before the dot that are part of a function's name, not a value.
pub(super) const NAMESPACES: [&str; 11] =
    ["strings", "optional", "lists", "sets", "math", "base64", "json", "jsonpatch", "ip", "format", "cel"];

static FUNCTIONS: LazyLock<BTreeMap<String, Vec<Overload>>> = LazyLock::new(|| {
    let mut functions = BTreeMap::<String, Vec<Overload>>::new();
    for (name, overload) in TABLE.lines().filter_map(read) {
        functions.entry(name).or_default().push(overload);
    }
    functions
});

/// The overloads of a function by its whole name (`size`, `math.abs`); empty if there is none.
pub(super) fn overloads(name: &str) -> &'static [Overload] {
    FUNCTIONS.get(name).map_or(&[], Vec::as_slice)
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.keys().map(String::as_str)
}

/// All overloads as the table writes them, in its order.
pub(super) fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines()
}

fn read(line: &'static str) -> Option<(String, Overload)> {
    let (call, result) = line.rsplit_once(") ")?;
    let (head, args) = call.split_once('(')?;
    let (receiver, name) = match head.rsplit_once('.') {
        None => (None, head.to_owned()),
        Some((namespace, _)) if NAMESPACES.contains(&namespace) => (None, head.to_owned()),
        Some((receiver, name)) => (Some(Type::read(receiver)?.0), name.to_owned()),
    };
    let mut rest = args;
    let mut types = Vec::new();
    while !rest.is_empty() {
        let (arg, after) = Type::read(rest)?;
        types.push(arg);
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    // `map<string, list<string>>` and the like hold no `) `, so the split above is safe.
    let (result, _) = Type::read(result)?;
    Some((name, Overload { receiver, args: types, result, text: line }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        for line in TABLE.lines() {
            assert!(read(line).is_some(), "{line}");
        }
    }
}
