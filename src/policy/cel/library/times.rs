//! Parts of times and durations; times are in UTC.

use super::{Outcome, mismatch};
use crate::policy::cel::{budget::Budget, value::Value};
use jiff::{civil::DateTime, tz::TimeZone};

fn part(name: &str, args: &[Value], read: impl Fn(DateTime) -> i64) -> Outcome {
    match args {
        [Value::Timestamp(time)] => Ok(Value::Int(read(TimeZone::UTC.to_datetime(*time)))),
        _ => Err(mismatch(name, args)),
    }
}

pub(super) fn full_year(args: &[Value], _: &Budget) -> Outcome {
    part("getFullYear", args, |time| time.year().into())
}

/// From 0, as in CEL.
pub(super) fn month(args: &[Value], _: &Budget) -> Outcome {
    part("getMonth", args, |time| i64::from(time.month()) - 1)
}

/// From 1.
pub(super) fn date(args: &[Value], _: &Budget) -> Outcome {
    part("getDate", args, |time| time.day().into())
}

/// From 0.
pub(super) fn day_of_month(args: &[Value], _: &Budget) -> Outcome {
    part("getDayOfMonth", args, |time| i64::from(time.day()) - 1)
}

/// Sunday is 0.
pub(super) fn day_of_week(args: &[Value], _: &Budget) -> Outcome {
    part("getDayOfWeek", args, |time| time.weekday().to_sunday_zero_offset().into())
}

/// From 0.
pub(super) fn day_of_year(args: &[Value], _: &Budget) -> Outcome {
    part("getDayOfYear", args, |time| i64::from(time.day_of_year()) - 1)
}

pub(super) fn hours(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Duration(duration)] => Ok(Value::Int(duration.as_hours())),
        _ => part("getHours", args, |time| time.hour().into()),
    }
}

pub(super) fn minutes(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Duration(duration)] => Ok(Value::Int(duration.as_mins())),
        _ => part("getMinutes", args, |time| time.minute().into()),
    }
}

pub(super) fn seconds(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Duration(duration)] => Ok(Value::Int(duration.as_secs())),
        _ => part("getSeconds", args, |time| time.second().into()),
    }
}

/// Of a duration: all its milliseconds; of a time: those of its second.
pub(super) fn milliseconds(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Duration(duration)] => {
            Ok(Value::Int(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
        }
        _ => part("getMilliseconds", args, |time| time.millisecond().into()),
    }
}
