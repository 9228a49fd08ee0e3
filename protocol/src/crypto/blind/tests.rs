use super::*;

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn point(text: &str) -> Point {
    text.parse().unwrap()
}

fn secret(n: u8) -> Secret {
    Secret::from_uniform(&[n; 64])
}

/// RFC 9380 appendix K.3, DST `QUUX-V01-CS02-with-expander-SHA512-256`.
#[test]
fn expand_message_xmd_gives_the_vectors_of_rfc_9380() {
    let dst = Dst::new(&[b"QUUX-V01-CS02-with-expander-SHA512-256"]);
    let q128 = format!("q128_{}", "q".repeat(128));
    let a512 = format!("a512_{}", "a".repeat(512));
    let short = [
        (
            "",
            "6b9a7312411d92f921c6f68ca0b6380730a1a4d982c507211a90964c394179ba",
        ),
        (
            "abc",
            "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc",
        ),
        (
            "abcdef0123456789",
            "087e45a86e2939ee8b91100af1583c4938e0f5fc6c9db4b107b83346bc967f58",
        ),
        (
            &q128,
            "7336234ee9983902440f6bc35b348352013becd88938d2afec44311caf8356b3",
        ),
        (
            &a512,
            "57b5f7e766d5be68a6bfe1768e3c2b7f1228b3e4b3134956dd73a59b954c66f4",
        ),
    ];
    for (message, expected) in short {
        assert_eq!(
            expand::<32>(message.as_bytes(), &dst).as_slice(),
            hex(expected)
        );
    }
    let long = [
        (
            "",
            "41b037d1734a5f8df225dd8c7de38f851efdb45c372887be655212d07251b921\
             b052b62eaed99b46f72f2ef4cc96bfaf254ebbbec091e1a3b9e4fb5e5b619d2e\
             0c5414800a1d882b62bb5cd1778f098b8eb6cb399d5d9d18f5d5842cf5d13d7e\
             b00a7cff859b605da678b318bd0e65ebff70bec88c753b159a805d2c89c55961",
        ),
        (
            "abc",
            "7f1dddd13c08b543f2e2037b14cefb255b44c83cc397c1786d975653e36a6b11\
             bdd7732d8b38adb4a0edc26a0cef4bb45217135456e58fbca1703cd6032cb134\
             7ee720b87972d63fbf232587043ed2901bce7f22610c0419751c065922b48843\
             1851041310ad659e4b23520e1772ab29dcdeb2002222a363f0c2b1c972b3efe1",
        ),
        (
            "abcdef0123456789",
            "3f721f208e6199fe903545abc26c837ce59ac6fa45733f1baaf0222f8b7acb04\
             24814fcb5eecf6c1d38f06e9d0a6ccfbf85ae612ab8735dfdf9ce84c372a77c8\
             f9e1c1e952c3a61b7567dd0693016af51d2745822663d0c2367e3f4f0bed827f\
             eecc2aaf98c949b5ed0d35c3f1023d64ad1407924288d366ea159f46287e61ac",
        ),
        (
            &q128,
            "b799b045a58c8d2b4334cf54b78260b45eec544f9f2fb5bd12fb603eaee70db7\
             317bf807c406e26373922b7b8920fa29142703dd52bdf280084fb7ef69da78af\
             df80b3586395b433dc66cde048a258e476a561e9deba7060af40adf30c64249c\
             a7ddea79806ee5beb9a1422949471d267b21bc88e688e4014087a0b592b695ed",
        ),
        (
            &a512,
            "05b0bfef265dcee87654372777b7c44177e2ae4c13a27f103340d9cd11c86cb2\
             426ffcad5bd964080c2aee97f03be1ca18e30a1f14e27bc11ebbd650f305269c\
             c9fb1db08bf90bfc79b42a952b46daf810359e7bc36452684784a64952c343c5\
             2e5124cd1f71d474d5197fefc571a92929c9084ffe1112cf5eea5192ebff330b",
        ),
    ];
    for (message, expected) in long {
        assert_eq!(
            expand::<128>(message.as_bytes(), &dst).as_slice(),
            hex(expected)
        );
    }
}

/// RFC 9496 appendix A.3.
#[test]
fn the_one_way_map_gives_the_vectors_of_rfc_9496() {
    let vectors = [
        (
            "Ristretto is traditionally a short shot of espresso coffee",
            "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
        ),
        (
            "made with the normal amount of ground coffee but extracted with",
            "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
        ),
        (
            "about half the amount of water in the same amount of time",
            "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826",
        ),
        (
            "by using a finer grind.",
            "f8f0c87cf237953c5890aec3998169005dae3eca1fbb04548c635953c817f92a",
        ),
        (
            "This produces a concentrated shot of coffee per volume.",
            "ae81e7dedf20a497e10c304a765c1767a42d6e06029758d2d7e8ef7cc4c41179",
        ),
        (
            "Just pulling a normal shot short will produce a weaker shot",
            "e2705652ff9f5e44d3e841bf1c251cf7dddb77d140870d1ab2ed64f1a9ce8628",
        ),
        (
            "and is not a Ristretto as some believe.",
            "80bd07262511cdde4863f8a7434cef696750681cb9510eea557088f76d9e5065",
        ),
    ];
    for (label, expected) in vectors {
        let uniform: [u8; 64] = Sha512::digest(label.as_bytes()).into();
        assert_eq!(
            compress(&RistrettoPoint::from_uniform_bytes(&uniform)),
            point(expected)
        );
    }
}

/// RFC 9496 appendix A.2, and the identity.
#[test]
fn no_encoding_that_rfc_9496_forbids_is_taken() {
    let bad = [
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
        "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
        "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
        "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
        "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
        "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
        "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
        "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
        "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
        "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
        "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
        "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
        "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
        "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
        "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
        "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
        "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
        "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
        "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
        "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
        "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for encoding in bad {
        assert_eq!(
            decompress(&point(encoding)),
            Err(NotAPoint::NotCanonical),
            "{encoding}"
        );
    }
    assert_eq!(decompress(&Point::new([0; 32])), Err(NotAPoint::Identity));
}

/// RFC 9497 appendices A.1.1 and A.1.2: BlindedElement is `H(input)^blind`, EvaluationElement is
/// that to the server's key; the key itself is a HashToScalar.
#[test]
fn blinding_and_raising_give_the_vectors_of_rfc_9497() {
    let blind = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
    let second = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";
    let vectors: [(u8, &str, &[u8], &str, &str); 5] = [
        (
            0,
            blind,
            &[0],
            "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
            "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
        ),
        (
            0,
            blind,
            &[0x5a; 17],
            "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
            "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
        ),
        (
            1,
            blind,
            &[0],
            "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
        ),
        (
            1,
            blind,
            &[0x5a; 17],
            "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
            "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468",
        ),
        (
            1,
            second,
            &[0x5a; 17],
            "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
            "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
        ),
    ];
    for (mode, blind, input, blinded, evaluated) in vectors {
        let context = [b"OPRFV1-", [mode].as_slice(), b"-ristretto255-SHA512"].concat();
        let key = hash_to_scalar(
            &[[0xa3; 32].as_slice(), &[0, 8], b"test key", &[0]].concat(),
            &Dst::new(&[b"DeriveKeyPair", &context]),
        );
        let key = Secret::from_bytes(key.as_bytes()).unwrap();
        let blind: [u8; 32] = hex(blind).try_into().unwrap();
        let blind = Secret::from_bytes(&blind).unwrap();
        let dst = Dst::new(&[b"HashToGroup-", &context]);
        assert_eq!(blind.blind([input].into_iter(), &dst), [point(blinded)]);
        assert_eq!(key.raise(&[point(blinded)]).unwrap(), [point(evaluated)]);
    }
}

#[test]
fn raising_commutes_whatever_the_batch() {
    let dst = Dst::index(&FederationId::new([7; 32]), 3);
    let messages: Vec<_> = (0..600u32).map(u32::to_le_bytes).collect();
    let list = || messages.iter().map(<[u8; 4]>::as_slice);
    let (a, b) = (secret(1), secret(2));
    let ab = b.raise(&a.blind(list(), &dst)).unwrap();
    assert_eq!(ab.len(), 600);
    assert_eq!(ab, a.raise(&b.blind(list(), &dst)).unwrap());
}

#[test]
fn other_federations_and_epochs_hash_elsewhere() {
    let points: std::collections::BTreeSet<_> = [(1, 0), (1, 1), (2, 0)]
        .map(|(federation, epoch)| {
            let dst = Dst::index(&FederationId::new([federation; 32]), epoch);
            compress(&hash_to_group(b"x", &dst))
        })
        .into();
    assert_eq!(points.len(), 3);
}

#[test]
fn base_and_point_to_each_secret_are_plain_powers() {
    let secrets = [secret(3), secret(4)];
    let public = secrets.each_ref().map(Secret::public);
    assert_eq!(base_to_each(secrets.iter()), public);
    let key = secret(5);
    let theirs = point_to_each(&key.public(), secrets.iter()).unwrap();
    assert_eq!(theirs, key.raise(&public).unwrap());
}

#[test]
fn raising_names_the_first_bad_point() {
    let good = secret(1).public();
    let mut points = vec![good; 300];
    points[290] = Point::new([0; 32]);
    let bad = secret(2).raise(&points).unwrap_err();
    assert_eq!(
        bad,
        BadPoint {
            at: 290,
            why: NotAPoint::Identity
        }
    );
}

#[test]
fn a_secret_reads_back_and_never_prints() {
    let key = secret(9);
    let back = Secret::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(back.public(), key.public());
    assert!(Secret::from_bytes(&[0; 32]).is_none());
    assert!(Secret::from_bytes(&[0xff; 32]).is_none());
    assert_eq!(format!("{key:?}"), "Secret(…)");
}

#[test]
fn a_long_tag_is_hashed_as_rfc_9380_says() {
    let dst = Dst::new(&[&[b'x'; 300]]);
    assert_eq!(dst.0.len(), 64);
}
