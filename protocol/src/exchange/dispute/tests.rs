//! Tests of disputes: what statements show, and files somebody tampered with.

use super::*;
use crate::codec;
use crate::crypto::seal::SecretKey;
use crate::crypto::sign::KeyPair;
use crate::crypto::stream::Cipher;
use crate::exchange::answer::Verdict;
use crate::exchange::bundle::Shown;
use crate::exchange::reconcile::said::{Agreement, Held, Proposal, Receipts, exchange};
use crate::ids::{Fixed, Handle, MatchId, RoundId};
use crate::ledger::chain::Pair;
use crate::limits::CLOCK_SKEW;
use crate::roster::Statements;
use crate::roster::tests::{NOW, code, founded, join, key};
use crate::statement;

const HANDLE: Handle = Handle(Fixed([9; 32]));

fn secret() -> StreamKey {
    StreamKey::new(Cipher::ChaCha20Poly1305, SecretKey::new([8; 32]))
}

/// Two members, A and B, whose nodes sign with keys 11 and 12, and C with 13.
struct World {
    statements: Statements,
    round: RoundId,
}

impl World {
    fn new() -> Self {
        let mut statements = founded();
        for (member, organisation, node) in [("A", 4, 11), ("B", 5, 12), ("C", 6, 13)] {
            join(&mut statements, member, organisation, node);
        }
        let round = RoundId::new([3; 16]);
        Self { statements, round }
    }

    fn pair(&self) -> Pair {
        Pair::of_members(&self.statements, &code("A"), &code("B"))
    }

    fn exchange(&self) -> ExchangeId {
        exchange(&self.round, &HANDLE)
    }

    fn proposal(&self) -> Signed<Proposal> {
        let proposal = Proposal {
            federation: self.statements.federation(),
            round: self.round,
            from: code("A"),
            to: code("B"),
            match_id: MatchId::new([1; 32]),
            terms: Hash::new([2; 32]),
            nonce: Hash::new([3; 32]),
            at: NOW,
        };
        Signed::sign(&proposal, &key(11))
    }

    fn agreement(&self, from: &str, to: &str, signer: u8) -> Stated {
        let agreement = Agreement {
            from: code(from),
            to: code(to),
            proposal: self.proposal().hash(),
            nonce: Hash::new([4; 32]),
            people: 1,
            list: Hash::new([5; 32]),
        };
        Stated::Agreement(Signed::sign(&agreement, &key(signer)))
    }

    fn shown(&self, from: &str, to: &str, signer: u8) -> Signed<Shown> {
        let shown = Shown {
            federation: self.statements.federation(),
            exchange: self.exchange(),
            from: code(from),
            to: code(to),
            match_id: MatchId::new([1; 32]),
            handle: HANDLE,
            root: Hash::new([6; 32]),
            key: secret().commit(&self.exchange()),
            size: 32768,
        };
        Signed::sign(&shown, &key(signer))
    }

    fn held(&self, from: &str, to: &str, signer: u8, bundles: Vec<Hash>) -> Stated {
        let held = Held {
            round: self.round,
            from: code(from),
            to: code(to),
            first: 0,
            bundles,
        };
        Stated::Held(Signed::sign(&held, &key(signer)))
    }

    fn receipts(&self, from: &str, to: &str, signer: u8, of: Hash) -> Stated {
        let receipts = Receipts {
            round: self.round,
            from: code(from),
            to: code(to),
            first: 0,
            bundles: vec![(of, Verdict::Opened)],
            at: NOW,
        };
        Stated::Receipts(Signed::sign(&receipts, &key(signer)))
    }

    /// B opened A's bundle, A holds B's, and its key did not come.
    fn kept_back(&self) -> Vec<Stated> {
        let (ours, theirs) = (self.shown("A", "B", 11), self.shown("B", "A", 12));
        vec![
            self.receipts("B", "A", 12, ours.hash()),
            self.held("A", "B", 11, vec![Hash::new([1; 32]), theirs.hash()]),
            self.held("B", "A", 12, vec![ours.hash()]),
            Stated::Commitment(ours),
            Stated::Commitment(theirs),
            self.agreement("B", "A", 12),
            self.agreement("A", "B", 11),
            Stated::Proposal(self.proposal()),
        ]
    }

    fn dispute(&self, said: Vec<Stated>) -> Dispute {
        let (pair, signer) = (self.pair(), key(11));
        let about = (&self.statements, &pair);
        Dispute::complain(about, self.exchange(), said, false, (&signer, NOW)).unwrap()
    }

    fn with(&self, more: Stated) -> Result<Checked, Bad> {
        let mut dispute = self.dispute(self.kept_back());
        dispute.statements.push(more);
        dispute.check(NOW)
    }
}

#[test]
fn a_key_that_was_kept_back_is_shown_as_far_as_it_can_be() {
    let world = World::new();
    let dispute = world.dispute(world.kept_back());
    let text = serde_json::to_string(&dispute).unwrap();
    let read: Dispute = serde_json::from_str(&text).unwrap();
    let checked = read.check(NOW).unwrap();
    assert_eq!(checked.lack, Lack::Key);
    assert_eq!(checked.round, Some(world.round));
    assert_eq!((checked.by, checked.against), (code("A"), code("B")));
    assert_eq!((checked.theirs.held, checked.theirs.opened), (true, None));
    assert_eq!(checked.ours.opened, Some(Verdict::Opened));
    assert_eq!(checked.said.len(), 8);
}

#[test]
fn what_the_statements_show_is_what_may_be_complained_of() {
    let world = World::new();
    let theirs = Stated::Commitment(world.shown("B", "A", 12));
    let ours = Stated::Commitment(world.shown("A", "B", 11));
    let proposal = Stated::Proposal(world.proposal());
    let lack = |said: &[&Stated]| {
        let said = said.iter().map(|one| (*one).clone()).collect();
        world.dispute(said).check(NOW).unwrap().lack
    };
    let held = world.held("A", "B", 11, vec![theirs.hash()]);
    let opened = world.receipts("A", "B", 11, theirs.hash());
    assert_eq!(lack(&[&proposal]), Lack::Nothing);
    assert_eq!(lack(&[&proposal, &theirs]), Lack::Bundle);
    assert_eq!(lack(&[&proposal, &theirs, &held]), Lack::Key);
    assert_eq!(lack(&[&proposal, &theirs, &held, &opened]), Lack::Nothing);
    assert_eq!(
        lack(&[&proposal, &theirs, &held, &opened, &ours]),
        Lack::Receipt
    );
}

#[test]
fn a_receipt_refutes_a_complaint() {
    let world = World::new();
    let theirs = world.shown("B", "A", 12).hash();
    let refuted = world.with(world.receipts("A", "B", 11, theirs));
    let shown = Lack::Nothing;
    let claimed = Lack::Key;
    assert_eq!(refuted, Err(Bad::Lack { claimed, shown }));
}

#[test]
fn statements_of_others_or_about_others_are_refused_by_name() {
    let world = World::new();
    let theirs = world.shown("B", "A", 12).hash();
    // Signed by C, or by A in the name of B.
    for signer in [13, 11] {
        let label = "round receipts";
        let error = statement::Error::OtherSigner;
        let forged = world.receipts("B", "A", signer, theirs);
        assert_eq!(world.with(forged), Err(Bad::Statement { label, error }));
    }
    // Between others; about another bundle; a second commitment.
    let unrelated = |label| Err(Bad::Unrelated(label));
    let held = world.held("A", "C", 11, vec![theirs]);
    assert_eq!(world.with(held), unrelated("bundles held"));
    let held = world.held("A", "B", 11, vec![Hash::new([1; 32])]);
    assert_eq!(world.with(held), unrelated("bundles held"));
    let receipts = world.receipts("A", "B", 11, Hash::new([1; 32]));
    assert_eq!(world.with(receipts), unrelated("round receipts"));
    let again = Stated::Commitment(world.shown("B", "A", 12));
    let by = code("B");
    let label = "bundle commitment";
    assert_eq!(world.with(again), Err(Bad::Twice { by, label }));
}

#[test]
fn a_complaint_counts_from_who_signs_it_and_in_its_time() {
    let world = World::new();
    let dispute = world.dispute(world.kept_back());
    let complaint = dispute.complaint.peek().unwrap();
    let signed = |complaint: &Complaint, signer: &KeyPair| Dispute {
        complaint: Signed::sign(complaint, signer),
        ..dispute.clone()
    };
    let other = signed(&complaint, &key(13)).check(NOW);
    let error = statement::Error::OtherSigner;
    assert_eq!(other, Err(Bad::Complaint(error)));
    let at = NOW + CLOCK_SKEW + std::time::Duration::from_millis(1);
    let ahead = Complaint {
        at,
        ..complaint.clone()
    };
    assert_eq!(signed(&ahead, &key(11)).check(NOW), Err(Bad::Unfit));
    let federation = FederationId::new([1; 32]);
    let elsewhere = Complaint {
        federation,
        ..complaint.clone()
    };
    assert_eq!(signed(&elsewhere, &key(11)).check(NOW), Err(Bad::Unfit));
    let about = Some(Hash::new([1; 32]));
    let another = Complaint {
        about,
        ..complaint.clone()
    };
    assert_eq!(signed(&another, &key(11)).check(NOW), Err(Bad::Unfit));
    // That a key opens nothing is the complainant's word, as that none came is.
    let lack = Lack::Readable;
    let unreadable = Complaint { lack, ..complaint };
    assert!(signed(&unreadable, &key(11)).check(NOW).is_ok());
    let format = "fairshare ledger 1".to_owned();
    assert_eq!(Dispute { format, ..dispute }.check(NOW), Err(Bad::Format));
}

#[test]
fn no_byte_of_a_statement_in_it_can_be_changed() {
    let world = World::new();
    let dispute = world.dispute(world.kept_back());
    for (at, stated) in dispute.statements.iter().enumerate() {
        let Stated::Commitment(signed) = stated else {
            continue;
        };
        let bytes = codec::encode(signed);
        for byte in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[byte] ^= 1;
            let Ok(changed) = codec::decode(&changed, 4096) else {
                continue;
            };
            let mut dispute = dispute.clone();
            dispute.statements[at] = Stated::Commitment(changed);
            assert!(dispute.check(NOW).is_err(), "byte {byte}");
        }
    }
}

#[test]
fn a_statement_is_known_by_its_name_and_label_only() {
    let world = World::new();
    for stated in world.kept_back() {
        let bytes = match &stated {
            Stated::Held(signed) => codec::encode(signed),
            Stated::Commitment(signed) => codec::encode(signed),
            _ => continue,
        };
        assert_eq!(Stated::read(&stated.hash(), &bytes), Some(stated));
        assert_eq!(Stated::read(&Hash::new([1; 32]), &bytes), None);
    }
}

#[test]
fn a_key_released_again_opens_for_the_complainant_and_that_bundle_only() {
    let world = World::new();
    let complaint = world.dispute(world.kept_back()).complaint.peek().unwrap();
    let [holder, carrier] = [1, 2].map(|n| SealSecret::from_seed(&[n; 32]));
    let secret = secret();
    let commitment = complaint.about.unwrap();
    let mut rng = {
        use rand::SeedableRng as _;
        rand::rngs::StdRng::seed_from_u64(1)
    };
    let to = holder.public();
    let release = Release::seal(&complaint, commitment, &secret, &to, NOW, &mut rng).unwrap();
    assert_eq!((&release.from, &release.to), (&code("B"), &code("A")));
    assert_eq!(release.open(&holder), Ok(secret));
    assert!(release.open(&carrier).is_err());
    let commitment = Hash::new([1; 32]);
    assert!(
        Release {
            commitment,
            ..release
        }
        .open(&holder)
        .is_err()
    );
}
