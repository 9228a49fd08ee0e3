//! What the operator is told: counts always, single refusals up to a bound, and no NHS number.

use std::collections::BTreeMap;

use fairshare_protocol::control::import::{ImportReport, MAX_LISTED, NotIndexed, Place, Rejection};
use fairshare_protocol::index::key::NhsNumber;

use super::stage::Head;
use super::walk::Walked;
use super::{Phase, Progress};
use crate::fhir::Refusal;
use crate::fhir::patient::NotIndexable;
use crate::store::records::{Counts, Named};

/// Counts as an import goes on.
pub(super) struct Tally {
    pub(super) report: ImportReport,
    /// What each file is called, and what came of it.
    files: Vec<(String, Came)>,
    /// Files that are not FHIR: refused, unless they turn out to be somebody's attachments.
    not_fhir: Vec<(u32, Refusal)>,
    not_indexable: BTreeMap<Named, NotIndexed>,
    seen: u64,
}

/// What came of a file.
#[derive(Clone, Copy, Default)]
struct Came {
    filed: bool,
    refused: bool,
    attachment: bool,
}

impl Tally {
    pub(super) fn new(walked: &Walked) -> Self {
        let count = walked.files.len();
        let name = |(at, shown): (usize, &str)| {
            let masked = masked(shown);
            // What was masked is told apart by its number in the order of reading.
            if masked == shown {
                masked
            } else {
                format!("{masked} (file {} of {count})", at + 1)
            }
        };
        let shown = walked
            .files
            .iter()
            .map(|file| file.shown.as_str())
            .enumerate();
        let mut tally = Self {
            report: ImportReport::default(),
            files: shown.map(|shown| (name(shown), Came::default())).collect(),
            not_fhir: Vec::new(),
            not_indexable: BTreeMap::new(),
            seen: 0,
        };
        tally.report.files.bytes = walked.files.iter().map(|file| file.size).sum();
        for (shown, refusal) in &walked.refused {
            tally.report.files.refused += 1;
            tally.push(masked(shown), None, None, 1, refusal);
        }
        tally
    }

    /// One more resource was seen.
    pub(super) const fn saw(&mut self) {
        self.seen += 1;
    }

    pub(super) const fn progress(&self, phase: Phase, done: u64, total: u64) -> Progress {
        Progress {
            phase,
            done,
            total,
            records: self.seen,
        }
    }

    /// A file as a whole is refused, unless it is an attachment: told by [`Tally::finish`].
    pub(super) fn refuse_file(&mut self, file: u32, refusal: Refusal) {
        self.not_fhir.push((file, refusal));
    }

    /// A file, line or entry was refused, standing for `count` resources.
    pub(super) fn refuse(
        &mut self,
        file: u32,
        place: Option<Place>,
        count: u64,
        named: Option<(&str, String)>,
        refusal: &Refusal,
    ) {
        let (shown, came) = &mut self.files[file as usize];
        came.refused = true;
        let shown = shown.clone();
        let named = named.map(|(kind, id)| resource(kind, &id));
        self.push(shown, place, named, count, refusal);
    }

    /// A resource that was set aside is refused after all.
    pub(super) fn refuse_resource(&mut self, head: &Head, refusal: &Refusal) {
        let (shown, came) = &mut self.files[head.file as usize];
        came.refused = true;
        let shown = shown.clone();
        self.push(
            shown,
            head.place,
            Some(resource(&head.kind, &head.id)),
            1,
            refusal,
        );
    }

    fn push(
        &mut self,
        file: String,
        place: Option<Place>,
        resource: Option<String>,
        count: u64,
        refusal: &Refusal,
    ) {
        let cause = refusal.code().to_owned();
        self.report.rejected += count;
        *self.report.causes.entry(cause.clone()).or_default() += count;
        if self.report.rejections.len() < MAX_LISTED {
            let reason = refusal.to_string();
            self.report.rejections.push(Rejection {
                file,
                place,
                resource,
                count,
                cause,
                reason,
            });
        }
    }

    /// An attachment of a resource that was taken is missing or damaged.
    pub(super) fn attachment(&mut self, head: &Head, damaged: bool, why: &str) {
        let counts = &mut self.report.attachments;
        *(if damaged {
            &mut counts.damaged
        } else {
            &mut counts.missing
        }) += 1;
        if self.report.attachment_problems.len() < MAX_LISTED {
            self.report.attachment_problems.push(Rejection {
                file: self.files[head.file as usize].0.clone(),
                place: head.place,
                resource: Some(resource(&head.kind, &head.id)),
                count: 1,
                cause: if damaged { "damaged" } else { "missing" }.to_owned(),
                reason: why.to_owned(),
            });
        }
    }

    /// The file was read; that nothing was in it is no fault.
    pub(super) fn read(&mut self, file: u32) {
        self.files[file as usize].1.filed = true;
    }

    /// The file is somebody's attachment.
    pub(super) fn is_attachment(&mut self, file: u32) {
        self.files[file as usize].1.attachment = true;
    }

    /// Whether a person of this import is in the index, or why not.
    pub(super) fn indexed(&mut self, head: &Head, why: Option<NotIndexable>) {
        match why {
            Some(why) => {
                if self.not_indexable.len() < MAX_LISTED {
                    let reason = why.to_string();
                    let id = masked(&head.id);
                    self.not_indexable
                        .insert(head.name, NotIndexed { id, reason });
                }
            }
            None => {
                self.not_indexable.remove(&head.name);
            }
        }
    }

    pub(super) fn finish(mut self, import: Option<u64>, counts: Counts) -> ImportReport {
        for (file, refusal) in std::mem::take(&mut self.not_fhir) {
            if !self.files[file as usize].1.attachment {
                self.refuse(file, None, 1, None, &refusal);
            }
        }
        let report = &mut self.report;
        report.import = import;
        report.people.held = counts.people;
        report.people.indexable = counts.indexable;
        report.records.held = counts.records;
        report.supporting.held = counts.supporting;
        for (_, came) in &self.files {
            let files = &mut report.files;
            *(match came {
                Came { filed: true, .. } => &mut files.taken,
                Came {
                    attachment: true, ..
                } => &mut files.attachments,
                Came { refused: true, .. } => &mut files.refused,
                // Read, and nothing in it that could be refused.
                Came { .. } => &mut files.taken,
            }) += 1;
        }
        report.not_indexable = self.not_indexable.into_values().collect();
        report.not_indexable.sort_by(|a, b| a.id.cmp(&b.id));
        self.report
    }
}

fn resource(kind: &str, id: &str) -> String {
    format!("{kind}/{}", masked(id))
}

/// The text, with every run of digits that is a valid NHS number masked.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() == 10 && digits.parse::<NhsNumber>().is_ok() {
            out.push_str("(NHS number)");
        } else {
            out.push_str(&digits);
        }
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nhs_numbers_in_file_names_and_ids_are_masked_and_nothing_else() {
        assert_eq!(masked("gp/9990001235.json"), "gp/(NHS number).json");
        assert_eq!(
            masked("9990001234.json"),
            "9990001234.json",
            "not a valid one"
        );
        assert_eq!(masked("99900012350"), "99900012350", "eleven digits");
        assert_eq!(masked("x-9990001235"), "x-(NHS number)");
        assert_eq!(masked("912-159356.json"), "912-159356.json");
    }
}
