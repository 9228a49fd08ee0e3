use std::collections::BTreeSet;

use fairshare_protocol::limits::MAX_STREAMS_PER_MEMBER;

use super::*;

const SHORT: Duration = Duration::from_millis(400);

fn timing() -> Timing {
    Timing {
        silence: Duration::from_secs(2),
        floor_span: Duration::from_secs(2),
        reach: Duration::from_secs(5),
        first_redial: Duration::from_millis(50),
        slowest_redial: Duration::from_millis(200),
        steady: Duration::from_millis(500),
        stranger_stay: Duration::from_secs(3),
        ping: Duration::from_secs(1),
    }
}

struct Side {
    network: Network,
    events: mpsc::Receiver<Event>,
    key: KeyPair,
    address: String,
}

async fn side(listen: &str, key: KeyPair) -> Side {
    let config = Config {
        key: key.clone(),
        listen: vec![listen.to_owned()],
        timing: timing(),
    };
    let (network, events) = Network::start(config).await.unwrap();
    let address = network.listening().await.unwrap()[0].clone();
    Side {
        network,
        events,
        key,
        address,
    }
}

async fn fresh() -> Side {
    side("127.0.0.1:0", KeyPair::generate(&mut rand::rng())).await
}

impl Side {
    fn contact(&self) -> Contact {
        Contact {
            key: self.key.public(),
            addresses: vec![self.address.clone()],
        }
    }

    async fn next(&mut self) -> Event {
        let event = timeout(Duration::from_secs(8), self.events.recv()).await;
        event.expect("an event in time").expect("a running network")
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    async fn incoming(&mut self) -> (PublicKey, bool, &'static str, Frames) {
        match self.until(|e| matches!(e, Event::Incoming { .. })).await {
            Event::Incoming {
                peer,
                member,
                stream,
                frames,
            } => (peer, member, stream, frames),
            _ => unreachable!("only incoming streams pass"),
        }
    }
}

async fn friends(listen: &str) -> (Side, Side) {
    let one = side(listen, KeyPair::generate(&mut rand::rng())).await;
    let two = side(listen, KeyPair::generate(&mut rand::rng())).await;
    one.network.set_members(vec![two.contact()]).await.unwrap();
    two.network.set_members(vec![one.contact()]).await.unwrap();
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_exchange_frames_over_tcp_and_over_quic() {
    for listen in ["127.0.0.1:0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let (one, mut two) = friends(listen).await;
        let mut out = one
            .network
            .open(&two.key.public(), wire::EXCHANGE)
            .await
            .unwrap();
        let big = vec![7; 100_000];
        out.send(&big).await.unwrap();
        let (peer, member, stream, mut back) = two.incoming().await;
        assert_eq!(
            (peer, member, stream),
            (one.key.public(), true, wire::EXCHANGE)
        );
        assert_eq!(back.recv(200_000).await.unwrap().unwrap(), big);
        back.send(b"thanks").await.unwrap();
        back.finish().await.unwrap();
        assert_eq!(out.recv(10).await.unwrap().unwrap(), b"thanks");
        assert_eq!(out.recv(10).await, Ok(None));
        let states = one.network.peers().await.unwrap();
        assert!(states[0].connected && states[0].since.is_some());
        one.network.shutdown().await;
        two.network.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_the_joining_stream_once_and_nothing_else() {
    let (mut steward, newcomer) = (fresh().await, fresh().await);
    newcomer.network.visit(steward.contact()).await.unwrap();
    let key = steward.key.public();
    let mut refused = newcomer.network.open(&key, wire::ROSTER).await.unwrap();
    let _ = refused.send(b"hello").await;
    assert!(!matches!(refused.recv(10).await, Ok(Some(_))));
    let mut join = newcomer.network.open(&key, wire::JOIN).await.unwrap();
    join.send(b"let me in").await.unwrap();
    let (peer, member, stream, mut frames) = steward.incoming().await;
    assert_eq!(
        (peer, member, stream),
        (newcomer.key.public(), false, wire::JOIN)
    );
    assert_eq!(frames.recv(100).await.unwrap().unwrap(), b"let me in");
    // The steward cuts the line, perhaps before the stream is known to be open.
    if let Ok(mut again) = newcomer.network.open(&key, wire::JOIN).await {
        let _ = again.send(b"again").await;
        assert!(!matches!(again.recv(10).await, Ok(Some(_))));
    }
    let more = timeout(SHORT, steward.incoming()).await;
    assert!(more.is_err(), "nothing but the one stream came through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_over_the_limit_and_a_silent_peer_are_named() {
    let (one, mut two) = friends("127.0.0.1:0").await;
    let mut out = one
        .network
        .open(&two.key.public(), wire::MATCH)
        .await
        .unwrap();
    out.send(&[0; 1000]).await.unwrap();
    let (.., mut back) = two.incoming().await;
    let too_long = FrameError::TooLong {
        length: 1000,
        limit: 999,
    };
    assert_eq!(back.recv(999).await, Err(too_long));
    let silent = out.recv(10).await;
    assert_eq!(silent, Err(FrameError::Silent(timing().silence)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_left_may_knock_again() {
    let (mut steward, newcomer) = (fresh().await, fresh().await);
    let key = steward.key.public();
    for _ in 0..3 {
        newcomer.network.visit(steward.contact()).await.unwrap();
        let mut join = newcomer.network.open(&key, wire::JOIN).await.unwrap();
        join.send(b"let me in").await.unwrap();
        let (.., mut frames) = steward.incoming().await;
        assert_eq!(frames.recv(100).await.unwrap().unwrap(), b"let me in");
        frames.send(b"wait").await.unwrap();
        assert_eq!(join.recv(100).await.unwrap().unwrap(), b"wait");
        newcomer.network.leave(key).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_cut_and_is_a_stranger_from_then_on() {
    let (mut one, mut two) = friends("127.0.0.1:0").await;
    one.until(|e| matches!(e, Event::Connected(_))).await;
    two.until(|e| matches!(e, Event::Connected(_))).await;
    one.network.set_members(vec![]).await.unwrap();
    two.until(|e| matches!(e, Event::Disconnected(_))).await;
    if let Ok(mut frames) = two.network.open(&one.key.public(), wire::EXCHANGE).await {
        let _ = frames.send(b"still me").await;
        assert!(!matches!(frames.recv(10).await, Ok(Some(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_went_away_is_dialled_until_it_is_back() {
    let (mut one, two) = friends("127.0.0.1:0").await;
    one.until(|e| matches!(e, Event::Connected(_))).await;
    two.network.shutdown().await;
    one.until(|e| matches!(e, Event::Disconnected(_))).await;
    tokio::time::sleep(SHORT).await;
    let state = one.network.peers().await.unwrap().remove(0);
    let error = state.last_error.unwrap();
    assert!(!state.connected && !error.is_empty(), "{error}");
    let _back = side(&two.address, two.key.clone()).await;
    let back = async {
        while !one.network.peers().await.unwrap()[0].connected {
            tokio::time::sleep(SHORT / 4).await;
        }
    };
    timeout(Duration::from_secs(8), back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_an_address_is_said_in_plain_words() {
    let one = fresh().await;
    let nobody = Contact {
        key: KeyPair::generate(&mut rand::rng()).public(),
        addresses: vec!["127.0.0.1:1".into()],
    };
    one.network.set_members(vec![nobody.clone()]).await.unwrap();
    let error = one
        .network
        .open(&nobody.key, wire::ROSTER)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "127.0.0.1:1: nobody listens there");
    let state = one.network.peers().await.unwrap().remove(0);
    assert_eq!(
        state.last_error.as_deref(),
        Some("127.0.0.1:1: nobody listens there")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_at_once_all_get_through_and_none_hangs() {
    let (one, mut two) = friends("127.0.0.1:0").await;
    let serve = tokio::spawn(async move {
        let mut most = 0;
        let mut open = tokio::task::JoinSet::new();
        let mut served = 0;
        while served < 200 {
            let (.., mut frames) = two.incoming().await;
            served += 1;
            open.spawn(async move {
                let frame = frames.recv(100).await.unwrap().unwrap();
                frames.send(&frame).await.unwrap();
                frames.finish().await.unwrap();
            });
            while open.try_join_next().is_some() {}
            most = most.max(open.len());
        }
        open.join_all().await;
        (two, most)
    });
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..200_u32 {
        let (network, key) = (one.network.clone(), serve_key(&one).await);
        asking.spawn(async move {
            let mut frames = network.open(&key, wire::EXCHANGE).await.unwrap();
            frames.send(&n.to_be_bytes()).await.unwrap();
            let echo = frames.recv(100).await.unwrap().unwrap();
            u32::from_be_bytes(echo.try_into().unwrap())
        });
    }
    let echoed: BTreeSet<u32> = asking.join_all().await.into_iter().collect();
    assert_eq!(echoed.len(), 200);
    let (_two, most) = serve.await.unwrap();
    assert!(most <= MAX_STREAMS_PER_MEMBER, "{most}");
}

async fn serve_key(side: &Side) -> PublicKey {
    side.network.peers().await.unwrap()[0].key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_inside_the_network_is_survived() {
    let (mut one, mut two) = friends("127.0.0.1:0").await;
    one.until(|e| matches!(e, Event::Connected(_))).await;
    one.network.send(Command::SabotageSwarm).await.unwrap();
    one.until(|e| matches!(e, Event::Disconnected(_))).await;
    // Port 0 chose another port, so it is the sabotaged side that dials.
    one.until(|e| matches!(e, Event::Connected(_))).await;
    let mut out = one
        .network
        .open(&two.key.public(), wire::ROSTER)
        .await
        .unwrap();
    out.send(b"alive").await.unwrap();
    let (.., mut back) = two.incoming().await;
    assert_eq!(back.recv(10).await.unwrap().unwrap(), b"alive");

    let key = two.key.public();
    one.network
        .send(Command::SabotageConnection(key))
        .await
        .unwrap();
    tokio::time::sleep(SHORT).await;
    // Whichever of their connections it was: after at most a try for each there is a good one.
    for _ in 0..3 {
        if let Ok(mut out) = one.network.open(&key, wire::ROSTER).await
            && out.send(b"again").await.is_ok()
        {
            break;
        }
    }
    let (.., mut back) = two.incoming().await;
    assert_eq!(back.recv(10).await.unwrap().unwrap(), b"again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_the_other_node_does_not_know_costs_no_other_stream() {
    let (one, mut two) = friends("127.0.0.1:0").await;
    let key = two.key.public();
    let mut out = one.network.open(&key, wire::EXCHANGE).await.unwrap();
    out.send(b"first").await.unwrap();
    let (.., mut back) = two.incoming().await;
    let newer = one.network.open(&key, "/fairshare/exchange/2").await;
    assert_eq!(newer.map(drop), Err(Error::Unsupported));
    assert_eq!(back.recv(10).await.unwrap().unwrap(), b"first");
    back.send(b"still here").await.unwrap();
    assert_eq!(out.recv(10).await.unwrap().unwrap(), b"still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_panic_do_not_use_up_their_peers_allowance() {
    let (one, mut two) = friends("127.0.0.1:0").await;
    let key = two.key.public();
    for round in 0..10_u8 {
        // What was broken in the last round may be found out by the first tries.
        let mut sent = Err(Error::Busy);
        for _ in 0..20 {
            sent = one.network.open(&key, wire::ROSTER).await;
            if sent.is_ok() {
                break;
            }
            tokio::time::sleep(SHORT / 4).await;
        }
        let mut out = sent.unwrap_or_else(|why| panic!("round {round}: {why}"));
        out.send(&[round]).await.unwrap();
        let (.., mut back) = two.incoming().await;
        assert_eq!(back.recv(10).await.unwrap().unwrap(), [round]);
        one.network
            .send(Command::SabotageConnection(key))
            .await
            .unwrap();
        tokio::time::sleep(SHORT / 4).await;
    }
}
