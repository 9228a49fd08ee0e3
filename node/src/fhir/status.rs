//! Whether a record says of itself that it never should have been.

use super::json::Json;

/// The code, in every value set of R4 that has it.
const IN_ERROR: &str = "entered-in-error";

/// Whether a record's status, or its verification status, is `entered-in-error`.
pub fn is_in_error(text: &str) -> bool {
    let Ok(json) = Json::read(text) else {
        return false;
    };
    let verification = json.member("verificationStatus");
    let codings = verification.map(|status| status.each("coding"));
    json.text_of("status") == Some(IN_ERROR)
        || codings
            .unwrap_or_default()
            .iter()
            .any(|coding| coding.text_of("code") == Some(IN_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_so_in_its_status_or_its_verification_status() {
        for (text, expected) in [
            (r#"{"status":"entered-in-error"}"#, true),
            (
                r#"{"verificationStatus":{"coding":[{"code":"entered-in-error"}]}}"#,
                true,
            ),
            (
                r#"{"verificationStatus":{"coding":[{"code":"confirmed"}]}}"#,
                false,
            ),
            (r#"{"status":"final"}"#, false),
            (r#"{"note":"entered-in-error"}"#, false),
            ("{", false),
        ] {
            assert_eq!(is_in_error(text), expected, "{text}");
        }
    }
}
