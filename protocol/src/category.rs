//! What can be shown, and what for (protocol.md section 2).

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used on screens, in files and in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::category::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::category::UnknownWord> {
                let found = Self::ALL.iter().find(|one| one.word() == text);
                found.copied().ok_or_else(|| $crate::category::UnknownWord {
                    given: text.chars().take(40).collect(),
                    known: Self::ALL.iter().map(|one| one.word()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}
pub(crate) use words;

/// A word that is not one of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not known here; known are: {known}")]
pub struct UnknownWord {
    pub(crate) given: String,
    pub(crate) known: String,
}

words! {
    /// What a record is about. Every stored record about a person has exactly one category.
    Category {
        /// "This person is known to us".
        Presence = "presence",
        /// Who the person is: Patient, RelatedPerson.
        Demographics = "demographics",
        /// A summary of the record as a whole.
        Summary = "summary",
        /// Conditions.
        Problems = "problems",
        /// Everything prescribed, dispensed, given or stated.
        Medications = "medications",
        /// Allergies and intolerances.
        Allergies = "allergies",
        /// Observations, reports, imaging, specimens.
        Results = "results",
        /// Encounters, episodes, appointments.
        Encounters = "encounters",
        /// Immunisations.
        Immunisations = "immunisations",
        /// Procedures.
        Procedures = "procedures",
        /// Letters, compositions, files.
        Documents = "documents",
        /// Care plans, goals, care teams, service requests.
        CarePlans = "care-plans",
        /// Assessments made by social care.
        SocialCareAssessments = "social-care-assessments",
        /// Flags and documents coded as safeguarding. Never travels in bulk.
        Safeguarding = "safeguarding",
        /// Everything else about a person. Never shown.
        Other = "other",
    }
}

words! {
    /// What a request is for.
    Purpose {
        /// Direct care of one person.
        Care = "care",
        /// An emergency; needs a named user and a reason.
        Emergency = "emergency",
        /// Safeguarding of one person.
        Safeguarding = "safeguarding",
        /// Keeping each other's record of jointly held people current.
        SharedCare = "shared-care",
    }
}

words! {
    /// How a purpose travels.
    Lane {
        /// One person, answered at once, whatever any balance says.
        Care = "care",
        /// Many people, in lock-step.
        Bulk = "bulk",
    }
}

impl Purpose {
    /// The lane this purpose travels in.
    pub const fn lane(self) -> Lane {
        match self {
            Self::Care | Self::Emergency | Self::Safeguarding => Lane::Care,
            Self::SharedCare => Lane::Bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_others_are_refused_by_name() {
        for category in Category::ALL {
            assert_eq!(category.word().parse::<Category>().as_ref(), Ok(category));
        }
        let error = "research".parse::<Purpose>().unwrap_err().to_string();
        assert!(error.starts_with("`research` is not known here; known are: care,"));
    }
}
