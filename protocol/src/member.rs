//! Members: one function of an organisation each (protocol.md section 1).

use serde::{Deserialize, Serialize};

use crate::category::words;
use crate::text::Line;

words! {
    /// The kind of organisation a member is. Offers are made to kinds.
    MemberKind {
        /// A hospital trust.
        AcuteTrust = "acute-trust",
        /// A mental health trust.
        MentalHealthTrust = "mental-health-trust",
        /// A community trust.
        CommunityTrust = "community-trust",
        /// An ambulance trust.
        AmbulanceTrust = "ambulance-trust",
        /// A general practice.
        GpPractice = "gp-practice",
        /// A council's adult social care.
        AdultSocialCare = "adult-social-care",
        /// A council's children's social care.
        ChildrensSocialCare = "childrens-social-care",
        /// A care home or home-care provider.
        CareProvider = "care-provider",
    }
}

impl MemberKind {
    /// Trusts and practices: those whose staff are clinicians first.
    pub const fn is_clinical(self) -> bool {
        matches!(
            self,
            Self::AcuteTrust
                | Self::MentalHealthTrust
                | Self::CommunityTrust
                | Self::AmbulanceTrust
                | Self::GpPractice
        )
    }
}

/// The person at a member who asked, or did something: never the patient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// The name, as the member's own staff directory has it.
    pub name: String,
    /// The role, in words.
    pub role: String,
    /// The member's own identifier of the user.
    pub id: String,
}

impl User {
    /// Whether another member's node may keep and show this: a name, and each part a [`Line`], so
    /// that nobody fills a journal or draws on the screen of whoever reads it.
    pub fn is_plain(&self) -> bool {
        let line = |text: &str| Line::try_from(text.to_owned()).is_ok();
        let may_lack = |text: &str| text.is_empty() || line(text);
        line(&self.name) && may_lack(&self.role) && may_lack(&self.id)
    }
}
