#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use fairshare_protocol::offer::{Label, Service};

use super::*;

fn default_text(kind: MemberKind) -> String {
    text(&Offer::default_for(kind), &"RH8".parse().unwrap(), kind)
}

#[test]
fn every_default_offer_is_written_so_that_it_reads_back() {
    for kind in MemberKind::ALL {
        let text = default_text(*kind);
        assert_eq!(parse(&text), Ok(Offer::default_for(*kind)), "{text}");
        assert!(text.lines().all(|line| line.len() < 240));
    }
}

#[test]
fn an_offer_with_everything_unusual_reads_back() {
    let mut offer = Offer::default_for(MemberKind::GpPractice);
    offer.show_in_return = false;
    offer.opened_labels.extend(Label::ALL);
    offer.opened_services.extend(Service::ALL);
    offer.presence.basis = r#"an "odd" \ basis"#.parse().unwrap();
    let care = offer.matrix.get_mut(&Purpose::Care).unwrap();
    let row = care.rows.get_mut(&Category::Results).unwrap();
    row.basis = Some("another".parse().unwrap());
    row.shows.clear();
    row.needs.remove(&MemberKind::AcuteTrust);
    offer.matrix.remove(&Purpose::SharedCare);
    let text = text(&offer, &"RH8".parse().unwrap(), MemberKind::GpPractice);
    assert_eq!(parse(&text), Ok(offer));
}

#[test]
fn every_category_and_kind_and_service_is_explained_in_the_file() {
    let text = default_text(MemberKind::GpPractice);
    let comments: String = text.lines().filter(|line| line.starts_with('#')).collect();
    let never = [Category::Other];
    let categories = Category::ALL.iter().filter(|c| !never.contains(c));
    let words = categories
        .map(|c| c.word())
        .chain(MemberKind::ALL.iter().map(|kind| kind.word()))
        .chain(Service::ALL.iter().map(|service| service.word()))
        .chain(Label::ALL.iter().map(|label| label.word()));
    for word in words {
        // Presence stands in a section with a comment of its own.
        assert!(comments.contains(word) || word == "presence", "{word}");
    }
}

#[test]
fn a_mistake_is_named_with_its_line_and_a_remedy() {
    let good = default_text(MemberKind::GpPractice);
    let line_of = |start: &str| {
        let found = good.lines().position(|line| line.starts_with(start));
        found.unwrap() + 1
    };
    let care = line_of("[care]");
    let problems = care + 4;
    let bulk = line_of("[shared-care]");
    assert!(
        good.lines()
            .nth(problems - 1)
            .unwrap()
            .starts_with("problems")
    );
    let last = good.matches('\n').count() + 1;
    for (from, to, line, fact) in [
        (
            "\n[care]",
            "\n[research]",
            care,
            "purpose `research` is not supported",
        ),
        ("\n[care]", "\n[care", care, ""),
        (
            "problems = {",
            "problmes = {",
            problems,
            "`problmes` is not known here",
        ),
        (
            "problems = {",
            "other = {",
            problems,
            "`other` is never shown under [care]",
        ),
        (
            "problems = {",
            "presence = {",
            problems,
            "`presence` stands under [care]",
        ),
        (
            "problems = { shows",
            "problems = { show",
            problems,
            "`show` is not known",
        ),
        (
            "problems = { shows = [\"clinical\"]",
            "problems = { shows = \"clinical\"",
            problems,
            "a list of words",
        ),
        (
            "problems = { shows = [\"clinical\"]",
            "problems = { shows = [\"clinic\"]",
            problems,
            "`clinic` is not known here",
        ),
        (
            "problems = { shows = [\"clinical\"], ",
            "problems = { ",
            problems,
            "`problems` has no `shows`",
        ),
        (
            "show-in-return = true",
            "show-in-return = \"yes\"",
            line_of("show-in"),
            "yes or no",
        ),
        (
            "show-in-return = true",
            "",
            last,
            "`show-in-return` is missing",
        ),
        (
            "[presence]",
            "[presenze]",
            line_of("[presence]"),
            "purpose `presenze` is not",
        ),
        (
            "opened-labels = []",
            "opened-labels = [\"R\"]",
            line_of("opened-labels"),
            "`R` is not",
        ),
        (
            "[shared-care]\n",
            "[shared-care]\nsafeguarding = { shows = [], needs = [] }\n",
            bulk + 1,
            "`safeguarding` is never shown under [shared-care]",
        ),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let mistake = parse(&text).unwrap_err();
        assert_eq!(mistake.line, line, "{mistake}");
        assert!(mistake.fact.starts_with(fact), "{mistake}");
        assert!(!mistake.remedy.is_empty());
    }
}

#[test]
fn a_section_needs_a_basis_and_a_row_may_have_its_own() {
    let text = "show-in-return = true\n[presence]\nshows = []\nbasis = \"x\"\n[care]\n\
                results = { shows = [\"clinical\"], needs = [], basis = \"own\" }\n";
    let mistake = parse(text).unwrap_err();
    assert_eq!(
        (mistake.line, mistake.fact.as_str()),
        (5, "[care] has no `basis`")
    );
    let stated = text.replace(
        "[care]\n",
        "[care]\nbasis = \"law\"\nallergies = { shows = [], needs = [] }\n",
    );
    let offer = parse(&stated).unwrap();
    let basis = |category| offer.basis(category, Purpose::Care).unwrap().as_str();
    assert_eq!(basis(Category::Results), "own");
    assert_eq!(basis(Category::Allergies), "law");
    assert_eq!(basis(Category::Presence), "x");
    assert_eq!(offer.basis(Category::Summary, Purpose::Care), None);
    let bare = "show-in-return = true\n";
    assert!(
        parse(bare)
            .unwrap_err()
            .fact
            .contains("[presence] is missing")
    );
}

#[test]
fn a_file_that_is_not_there_says_where_it_should_be() {
    let error = read(Path::new("/nowhere/offer.toml")).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/offer.toml: "));
}
