// What is known of one Pod or template: the findings with what to do, its images, and commands to go on with.

const ACTIONS = { deny: "would be refused", warn: "warned about", record: "recorded only" };
const KINDS = {
  violation: "Violation",
  unresolved: "Could not be checked",
  stale: "Judged by what was known before",
  "evaluation-error": "The policy's expression failed",
};

function details(object, generated) {
  const findings = object.findings ?? [];
  const excepted = object.excepted ?? [];
  return make(
    "div", { class: "details" },
    findings.length || excepted.length
      ? make("ul", { class: "findings" }, findings.map((found) => finding(found)), excepted.map((found) => finding(found)))
      : make("p", { class: "muted" }, verdictOf(object)),
    make("h3", {}, "Images"),
    make("ul", { class: "images" }, (object.images ?? []).map((image) => looked(image, generated))),
    make("h3", {}, "Go on"),
    commands(object),
  );
}

function verdictOf(object) {
  if (object.compliance === "unmatched") return "No policy applies to it.";
  return object.compliance === "compliant" ? "Nothing was found." : "No finding was recorded.";
}

/** What was found, what is wanted, and what is done about it. */
function finding(found) {
  const where = [found.use, found.container].filter(Boolean).join(" ");
  const told = found.found ?? found.message;
  return make(
    "li", { class: found.exception ? "excepted" : found.kind },
    make("p", { class: "what" },
      make("span", { class: "tag" }, said(ruled(found))), " ",
      said(where), " ", make("b", {}, said(told))),
    found.wanted ? make("p", {}, make("span", { class: "label" }, "Wanted "), said(found.wanted)) : null,
    make("p", { class: "muted" },
      found.exception ? ["Excepted by ", said(found.exception)] : [KINDS[found.kind] ?? said(found.kind), ", ", ACTIONS[found.action] ?? said(found.action)],
      found.unresolvedKind ? [" (", said(found.unresolvedKind), ")"] : null,
      " · ", said(found.fieldPath), " = ", said(found.image),
      found.platforms?.length ? [" · ", said(found.platforms.join(", "))] : null),
  );
}

function looked(image, generated) {
  const known = days(image.created, generated);
  const facts = [
    known === null ? "of unknown age" : `${age(known)} old`,
    image.platforms?.length ? image.platforms.join(", ") : null,
    image.digest ? `resolves to ${image.digest}` : null,
    image.runningDigest && image.runningDigest !== image.digest ? `runs ${image.runningDigest}` : null,
    image.drifted ? "drifted" : null,
    image.error ? `${image.error.kind}: ${image.error.detail}` : null,
  ];
  return make(
    "li", {}, make("b", {}, said(image.container ?? image.use)), " ", said(image.image),
    make("p", { class: "muted" }, said(facts.filter(Boolean).join(" · "))),
  );
}

/** Where it is changed (its owner, if it has one), and how its images are looked at. */
function commands(object) {
  const at = object.namespace ? `kubectl -n ${quoted(object.namespace)}` : "kubectl";
  const resource = (kind, name) => quoted(`${String(kind).toLowerCase()}/${name}`);
  const owner = object.owner ?? object;
  const wanted = (object.findings ?? []).filter((found) => found.kind === "violation").map((found) => found.image);
  return make(
    "div", { class: "commands" },
    command(`${at} get ${resource(object.kind, object.name)} -o yaml`),
    command(`${at} edit ${resource(owner.kind, owner.name)}`),
    [...new Set(wanted.filter(Boolean))].slice(0, 3).map((image) => command(`hullmark inspect ${quoted(image)}`)),
  );
}
