//! Whether somebody is being looked after, as their records say it (protocol.md section 4,
//! "active").

use super::json::Json;

/// Whether a record of this type may say so.
pub fn may_tell(kind: &str) -> bool {
    matches!(
        kind,
        "CarePlan" | "Encounter" | "EpisodeOfCare" | "Appointment" | "Patient"
    )
}

/// What one record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Silent,
    /// The person is being looked after, or had contact since the day asked for.
    Active,
    /// The person is on nobody's list any more: they left, or died.
    Left,
}

/// What a record of this type says. `since` is a day as FHIR writes it: an active care plan, an
/// open encounter or episode, and any contact on or after that day is activity.
pub fn of(kind: &str, text: &str, since: &str) -> Activity {
    let Ok(json) = Json::read(text) else {
        return Activity::Silent;
    };
    let status = json.text_of("status").unwrap_or_default();
    let active = match kind {
        "Patient" => {
            let left = matches!(json.member("active"), Some(Json::Bool(false)))
                || matches!(json.member("deceasedBoolean"), Some(Json::Bool(true)))
                || json.text_of("deceasedDateTime").is_some();
            return if left {
                Activity::Left
            } else {
                Activity::Silent
            };
        }
        "CarePlan" => status == "active",
        "EpisodeOfCare" => status == "active" || status == "onhold",
        "Encounter" => {
            matches!(status, "arrived" | "triaged" | "in-progress" | "onleave")
                || status == "finished" && is_since(&json, &["end", "start"], since)
        }
        "Appointment" => {
            let kept = matches!(status, "arrived" | "fulfilled" | "checked-in");
            let start = json.text_of("start");
            kept && start.is_some_and(|start| is_on_or_after(start, since))
        }
        _ => false,
    };
    if active {
        Activity::Active
    } else {
        Activity::Silent
    }
}

/// Whether the first of these members of `period` that is there is on or after `since`.
fn is_since(json: &Json<'_>, names: &[&str], since: &str) -> bool {
    let period = json.member("period");
    let day = period.and_then(|period| names.iter().find_map(|name| period.text_of(name)));
    day.is_some_and(|day| is_on_or_after(day, since))
}

/// FHIR dates sort as text; one less precise counts as its end.
fn is_on_or_after(day: &str, since: &str) -> bool {
    let length = day.len().min(since.len());
    day.get(..length) >= since.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_care_and_contact_since_a_day_are_activity_and_nothing_else_is() {
        let since = "2025-11-26";
        for (kind, text, expected) in [
            ("CarePlan", r#"{"status":"active"}"#, Activity::Active),
            ("CarePlan", r#"{"status":"revoked"}"#, Activity::Silent),
            ("EpisodeOfCare", r#"{"status":"active"}"#, Activity::Active),
            (
                "EpisodeOfCare",
                r#"{"status":"finished"}"#,
                Activity::Silent,
            ),
            ("Encounter", r#"{"status":"in-progress"}"#, Activity::Active),
            (
                "Encounter",
                r#"{"status":"finished","period":{"start":"2019-01-01","end":"2026-02"}}"#,
                Activity::Active,
            ),
            (
                "Encounter",
                r#"{"status":"finished","period":{"start":"2025-11-26T09:00:00Z"}}"#,
                Activity::Active,
            ),
            (
                "Encounter",
                r#"{"status":"finished","period":{"end":"2025-11-25"}}"#,
                Activity::Silent,
            ),
            ("Encounter", r#"{"status":"planned"}"#, Activity::Silent),
            (
                "Appointment",
                r#"{"status":"fulfilled","start":"2026-01-01T00:00:00Z"}"#,
                Activity::Active,
            ),
            (
                "Appointment",
                r#"{"status":"noshow","start":"2026-01-01T00:00:00Z"}"#,
                Activity::Silent,
            ),
            ("Patient", r#"{"active":true}"#, Activity::Silent),
            ("Patient", r#"{"active":false}"#, Activity::Left),
            ("Patient", r#"{"deceasedBoolean":true}"#, Activity::Left),
            ("Patient", r#"{"deceasedBoolean":false}"#, Activity::Silent),
            ("CarePlan", "{", Activity::Silent),
        ] {
            assert_eq!(of(kind, text, since), expected, "{kind} {text}");
        }
    }
}
