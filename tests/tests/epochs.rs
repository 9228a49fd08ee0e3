//! An epoch turns over while nodes run and nobody types anything.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::time::Duration;

use fairshare_node::engine::asking::{self, Asked};
use fairshare_node::engine::drive::now;
use fairshare_node::engine::matching;
use fairshare_node::engine::progress::Watch;
use fairshare_protocol::category::Purpose;
use fairshare_protocol::exchange::answer::Reply;
use fairshare_protocol::exchange::ask::Plan;
use fairshare_protocol::ids::{ExchangeId, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::time::{DAY, Timestamp};
use fairshare_tests::harness::mesh::{self, Peer};
use fairshare_tests::harness::people::Somebody;

fn key(number: u32) -> IndexKey {
    let person = Somebody::numbered(number);
    IndexKey {
        nhs: person.nhs.parse().unwrap(),
        born: person.born.parse().unwrap(),
    }
}

fn patient(number: u32) -> String {
    let Somebody { nhs, born, .. } = Somebody::numbered(number);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}]}}"#
    )
}

/// What is needed to ask `holder` about a person, by the handle they have now.
fn plan(asker: &Peer, holder: &OdsCode, number: u32) -> Plan {
    let link = asker.node.index.handle(&key(number), holder).unwrap();
    let (match_id, handle) = link.unwrap();
    Plan {
        exchange: ExchangeId::new([0; 16]),
        match_id,
        handle,
        subject: asking::subject(&asker.node, key(number)).unwrap().unwrap(),
        purpose: Purpose::Care,
        categories: Default::default(),
        reason: None,
        user: mesh::user(),
    }
}

async fn reply(asker: &Peer, holder: &OdsCode, plan: Plan) -> Option<Reply> {
    let roster = asker.node.membership.roster().unwrap();
    let pair = asking::pair(&asker.node, &roster, holder).unwrap();
    let Asked { ended, .. } = asking::ask(&asker.node, &pair, plan).await.unwrap();
    ended.unwrap().reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_run_make_new_adverts_match_anew_and_answer_under_the_old_id() {
    for seconds in [10, 40, 120] {
        let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
        let practice = Peer::start("L83024", MemberKind::GpPractice).await;
        let (a, b) = (trust.node.code().clone(), practice.node.code().clone());
        let all = |numbers: std::ops::Range<u32>| numbers.map(patient).collect::<Vec<_>>();
        trust.import(&all(0..30)).await;
        practice.import(&all(20..50)).await;
        let ends = Timestamp(now().0 + seconds * 1000);
        let charter = |charter: &mut fairshare_protocol::charter::Charter| {
            charter.epoch_days = 1;
            charter.epoch_start = Timestamp(ends.0 - DAY);
        };
        mesh::found(&[&trust, &practice], charter, |_, _| {}).await;
        let first = matching::begin(&trust.node, &b, &Watch::nobody()).await;
        let first = first.unwrap();
        if now() > ends {
            // Too slow a machine for so short an epoch.
            trust.stop().await;
            practice.stop().await;
            continue;
        }
        assert_eq!((first.links, first.epoch), (10, 0));
        let header = |peer: &Peer| {
            let own = peer.node.index.own().unwrap().unwrap();
            own.header.peek().unwrap()
        };
        let old = (header(&trust), plan(&trust, &b, 25));

        let matched = |peer: &Peer, other| peer.node.index.matched(other).unwrap().unwrap();
        let begun = std::time::Instant::now();
        while matched(&trust, &b).epoch == 0 || matched(&practice, &a).epoch == 0 {
            let waited = begun.elapsed().as_secs();
            assert!(waited < seconds + 120, "nobody matched anew");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let second = matched(&trust, &b);
        assert_eq!((second.links, second.epoch), (10, 1));
        assert_eq!(second.match_id, matched(&practice, &a).match_id);
        assert_ne!(second.match_id, first.match_id);
        let new = header(&trust);
        assert_eq!((new.epoch, new.generation), (1, 1));
        assert_ne!(new.key, old.0.key, "a key lives for one epoch");

        // What was asked under the old match is answered, and what is asked now under the new one.
        assert_eq!(
            reply(&trust, &b, old.1.clone()).await,
            Some(Reply::Delivered)
        );
        let now_named = plan(&trust, &b, 25);
        assert_eq!(now_named.match_id, second.match_id);
        assert_eq!(reply(&trust, &b, now_named).await, Some(Reply::Delivered));

        // One epoch later nothing of the first is left.
        let (match_id, handle) = (old.1.match_id, old.1.handle);
        let named = || practice.node.index.person(&a, &match_id, &handle).unwrap();
        assert_eq!(named(), Some(key(25)));
        practice.node.index.turn_over(2).unwrap();
        assert_eq!(named(), None);
        // Nor of the second, when its time has come too: the epoch key goes with the advert.
        practice.node.index.turn_over(3).unwrap();
        assert!(practice.node.index.own().unwrap().is_none());
        assert!(practice.node.index.pair(&a).unwrap().is_none());
        assert!(practice.node.index.peer(&a).unwrap().is_none());
        trust.stop().await;
        practice.stop().await;
        return;
    }
    unreachable!("no epoch was long enough");
}
