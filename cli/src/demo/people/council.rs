//! The council's adult social care: one Bundle per person, transaction or collection as the case
//! system of the team writes it, the support plan inside as base64.

use std::path::Path;
use std::{fs, io};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::records::{self, about, date, snomed};
use super::{DAY, Draw, Known, Organisation, Person, TODAY, Timestamp, letter, words};

/// What an assessment of adult social care asks, and the answers from best to worst.
static QUESTIONS: [(&str, [&str; 3]); 6] = [
    (
        "Managing and maintaining nutrition",
        [
            "Cooks for themselves",
            "Needs meals prepared",
            "Needs prompting and help to eat",
        ],
    ),
    (
        "Maintaining personal hygiene",
        [
            "Independent",
            "Needs help to bathe",
            "Needs help with all washing",
        ],
    ),
    (
        "Managing toilet needs",
        ["Independent", "Needs equipment", "Needs a carer each time"],
    ),
    (
        "Being able to make use of the home safely",
        [
            "Yes",
            "With rails and a pendant alarm",
            "Not without supervision",
        ],
    ),
    (
        "Maintaining family or other personal relationships",
        [
            "Sees family weekly",
            "A neighbour calls in",
            "Nobody visits",
        ],
    ),
    (
        "Carer's view",
        [
            "Coping well",
            "Tired, would like a sitting service",
            "Close to breaking point",
        ],
    ),
];

/// Goals people set with their social worker.
static GOALS: [&str; 6] = [
    "To stay in my own home",
    "To get to the lunch club on Thursdays",
    "To wash and dress in my own time",
    "To have a hot meal every day",
    "To walk to the garden gate by myself",
    "For my daughter to have one free day a week",
];

pub fn write<'a>(
    directory: &Path,
    organisation: &Organisation,
    people: impl Iterator<Item = (&'a Person, &'a Known)>,
    draw: &mut Draw,
) -> io::Result<()> {
    for (nth, (person, known)) in people.enumerate() {
        let records = case(organisation, person, known, nth, draw);
        let transaction = nth % 3 > 0;
        let entries: Vec<_> = records
            .into_iter()
            .map(|record| entry(record, transaction))
            .collect();
        let kind = if transaction {
            "transaction"
        } else {
            "collection"
        };
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        fs::write(
            directory.join(format!("{}.json", known.local)),
            bundle.to_string(),
        )?;
    }
    Ok(())
}

fn entry(record: Value, transaction: bool) -> Value {
    let kind = record["resourceType"].as_str().unwrap_or_default();
    let id = record["id"].as_str().unwrap_or_default();
    let mut entry = json!({"fullUrl": format!("urn:uuid:{id}")});
    if transaction {
        entry["request"] = json!({"method": "PUT", "url": format!("{kind}/{id}")});
    }
    entry["resource"] = record;
    entry
}

/// One person's case file.
fn case(
    organisation: &Organisation,
    person: &Person,
    known: &Known,
    nth: usize,
    draw: &mut Draw,
) -> Vec<Value> {
    let id = draw.uuid();
    let subject = format!("Patient/{id}");
    let assessed = draw.ago(240);
    let planned = Timestamp((assessed.0 + 14 * DAY).min(TODAY.0));
    let worker = draw.pick(&words::COUNCIL);
    let by = json!({"display": format!("{} {} {}, social worker", worker.1, worker.2, worker.3)});
    let mut records = vec![records::patient(&id, person, known, organisation)];

    let needs: Vec<String> = person
        .problems
        .iter()
        .map(|problem| problem.daily.to_owned())
        .collect();
    let answers: Vec<_> = QUESTIONS
        .iter()
        .zip(1..)
        .map(|((question, answers), number)| {
            let worst = needs.len().min(2) as u32;
            let answer = answers[draw.number(0, worst) as usize];
            json!({"linkId": number.to_string(), "text": question,
                "answer": [{"valueString": answer}]})
        })
        .collect();
    records.push(about("QuestionnaireResponse", &draw.uuid(), "subject", &subject, json!({
        "status": "completed", "authored": assessed.to_string(), "author": by, "item": answers,
        "questionnaire": "https://wexshire.example.gov.uk/Questionnaire/care-act-needs-assessment"
    })));

    let mut goals = Vec::new();
    for _ in 0..draw.number(1, 2) {
        let (goal, text) = (draw.uuid(), draw.pick(&GOALS));
        goals.push((format!("Goal/{goal}"), text));
        records.push(about("Goal", &goal, "subject", &subject, json!({
            "lifecycleStatus": "active", "description": {"text": text}, "startDate": date(planned)
        })));
    }
    let visits = draw.number(1, 4);
    let care = format!("Visits a day: {visits}. Pendant alarm. Review in six months.");
    records.push(about(
        "CarePlan",
        &draw.uuid(),
        "subject",
        &subject,
        json!({
            "status": "active", "intent": "plan", "title": "Care and support plan",
            "category": [snomed(("734163000", "Care plan"))],
            "period": {"start": date(planned)}, "author": by, "description": care,
            "goal": goals.iter().map(|(goal, _)| json!({"reference": goal})).collect::<Vec<_>>(),
            "activity": needs.iter().map(|need| json!({"detail": {"status": "in-progress",
                "description": need}})).collect::<Vec<_>>()
        }),
    ));

    let mut body = vec!["What matters to me:".to_owned()];
    body.extend(goals.iter().map(|(_, goal)| format!("- {goal}")));
    body.push("What helps:".into());
    body.extend(needs.iter().map(|need| format!("- {need}")));
    body.push(care);
    let text = letter::lines(
        organisation,
        person,
        known,
        planned,
        "Care and support plan",
        &body,
    );
    let bytes = text.join("\n").into_bytes();
    records.push(records::document(
        &draw.uuid(),
        &subject,
        snomed(("734163000", "Care plan")),
        planned,
        organisation,
        json!({"contentType": "text/plain; charset=utf-8", "data": BASE64.encode(&bytes),
            "size": bytes.len(), "title": "Care and support plan"}),
    ));
    if nth % 17 == 5 {
        records.push(about(
            "Flag",
            &draw.uuid(),
            "subject",
            &subject,
            json!({
                "status": "active", "code": {"text": "Adult at risk: section 42 enquiry open"},
                "category": [{"text": "Safeguarding"}], "period": {"start": date(planned)}
            }),
        ));
    }
    records
}
