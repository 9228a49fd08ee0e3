//! What people have, take, cannot take and are given: the codes are SNOMED CT's, medicines are
//! named as prescribers write them.

/// Words of these tables.
pub type Text = &'static str;

/// A condition and what follows from it at each organisation.
pub struct Problem {
    /// SNOMED CT code and name.
    pub code: Text,
    pub name: Text,
    /// Nobody younger has it here.
    pub from: u32,
    /// Of a hundred people old enough, so many have it.
    pub of_hundred: u32,
    /// `name: instructions`.
    pub medicines: &'static [Text],
    /// What the practice measures for it.
    pub test: Option<&'static Test>,
    /// What brings people to hospital for it.
    pub stay: Option<Stay>,
    /// What it means at home: what social care writes down.
    pub daily: Text,
}

/// A measurement with a plausible range.
pub struct Test {
    /// SNOMED CT code, where one is certain.
    pub code: Option<Text>,
    pub name: Text,
    pub unit: Text,
    pub range: (u32, u32),
}

/// A hospital stay.
pub struct Stay {
    pub why: Text,
    pub emergency: bool,
    pub days: u64,
    /// SNOMED CT code and name.
    pub procedure: (Text, Text),
    /// What the letter says was done.
    pub letter: Text,
}

const fn test(code: Option<Text>, name: Text, unit: Text, range: (u32, u32)) -> Test {
    Test {
        code,
        name,
        unit,
        range,
    }
}

static HBA1C: Test = test(Some("43396009"), "Haemoglobin A1c", "mmol/mol", (44, 86));
static EGFR: Test = test(
    None,
    "Estimated glomerular filtration rate",
    "mL/min/1.73m2",
    (31, 58),
);
static TSH: Test = test(None, "Thyroid stimulating hormone", "mU/L", (1, 9));
static PEAK_FLOW: Test = test(None, "Peak expiratory flow", "L/min", (220, 540));
static POTASSIUM: Test = test(None, "Serum potassium", "mmol/L", (4, 5));
/// Measured of everybody.
pub static PULSE: Test = test(Some("364075005"), "Heart rate", "/min", (56, 98));
pub static WEIGHT: Test = test(Some("27113001"), "Body weight", "kg", (48, 108));
pub static TEMPERATURE: Test = test(Some("386725007"), "Body temperature", "Cel", (36, 39));
pub static BREATHS: Test = test(Some("86290005"), "Respiratory rate", "/min", (12, 24));

const ECG: (&str, &str) = ("29303009", "Electrocardiogram");
const CHEST_XRAY: (&str, &str) = ("399208008", "Plain X-ray of chest");
const CT_HEAD: (&str, &str) = ("303653007", "Computed tomography of head");

const fn problem(code: Text, name: Text, from: u32, of_hundred: u32) -> Problem {
    Problem {
        code,
        name,
        from,
        of_hundred,
        medicines: &[],
        test: None,
        stay: None,
        daily: "",
    }
}

impl Problem {
    const fn takes(mut self, medicines: &'static [Text]) -> Self {
        self.medicines = medicines;
        self
    }

    const fn tested(mut self, test: &'static Test) -> Self {
        self.test = Some(test);
        self
    }

    const fn admitted(self, why: Text, days: u64, procedure: (Text, Text), letter: Text) -> Self {
        let emergency = true;
        self.stays(Stay {
            why,
            emergency,
            days,
            procedure,
            letter,
        })
    }

    const fn booked(self, why: Text, days: u64, procedure: (Text, Text), letter: Text) -> Self {
        let emergency = false;
        self.stays(Stay {
            why,
            emergency,
            days,
            procedure,
            letter,
        })
    }

    const fn stays(mut self, stay: Stay) -> Self {
        self.stay = Some(stay);
        self
    }

    const fn at_home(mut self, daily: Text) -> Self {
        self.daily = daily;
        self
    }
}

/// The conditions people here live with.
pub static PROBLEMS: [Problem; 20] = [
    problem("59621000", "Essential hypertension", 40, 34)
        .takes(&[
            "Amlodipine 5mg tablets: One tablet each morning",
            "Ramipril 5mg capsules: One capsule each day",
        ])
        .tested(&POTASSIUM)
        .at_home("Dizzy on standing; rises slowly and uses the rail by the stairs."),
    problem("44054006", "Type 2 diabetes mellitus", 35, 18)
        .takes(&[
            "Metformin 500mg tablets: One tablet twice a day with food",
            "Gliclazide 80mg tablets: One tablet with breakfast",
        ])
        .tested(&HBA1C)
        .admitted(
            "Infected foot ulcer",
            6,
            ("77477000", "Computed tomography"),
            "Intravenous flucloxacillin for five days, then oral. Podiatry to see weekly.",
        )
        .at_home("Needs meals at regular times; carers check feet and footwear."),
    problem("13645005", "Chronic obstructive pulmonary disease", 50, 12)
        .takes(&[
            "Salbutamol 100micrograms/dose inhaler: Two puffs when needed",
            "Tiotropium 18microgram capsules: Inhale one once a day",
        ])
        .tested(&PEAK_FLOW)
        .admitted(
            "Infective exacerbation of COPD",
            4,
            CHEST_XRAY,
            "Nebulisers, prednisolone and doxycycline. Weaned off oxygen on day three.",
        )
        .at_home("Breathless after a few steps; cannot carry shopping or make the bed."),
    problem("195967001", "Asthma", 4, 12)
        .takes(&[
            "Beclometasone 100micrograms/dose inhaler: Two puffs twice a day",
            "Salbutamol 100micrograms/dose inhaler: Two puffs when needed",
        ])
        .tested(&PEAK_FLOW)
        .admitted(
            "Acute exacerbation of asthma",
            1,
            CHEST_XRAY,
            "Settled with salbutamol and a five-day course of prednisolone.",
        )
        .at_home("Carries an inhaler; dust in the house brings on attacks."),
    problem("49436004", "Atrial fibrillation", 55, 14)
        .takes(&[
            "Apixaban 5mg tablets: One tablet twice a day",
            "Bisoprolol 2.5mg tablets: One tablet each morning",
        ])
        .tested(&POTASSIUM)
        .admitted(
            "Fast atrial fibrillation",
            2,
            ECG,
            "Rate controlled with bisoprolol. Apixaban started; bleeding risk explained.",
        )
        .at_home("Takes a blood thinner: any fall with a knock to the head needs a doctor."),
    problem("84114007", "Heart failure", 60, 10)
        .takes(&[
            "Furosemide 40mg tablets: One tablet each morning",
            "Bisoprolol 5mg tablets: One tablet each day",
        ])
        .tested(&WEIGHT)
        .admitted(
            "Decompensated heart failure",
            7,
            ("40701008", "Echocardiography"),
            "Diuresis with intravenous furosemide, 5 kg lost. Heart failure nurse to follow up.",
        )
        .at_home("Weighed every morning; a gain of two kilograms is reported to the surgery."),
    problem("414545008", "Ischaemic heart disease", 50, 12)
        .takes(&[
            "Aspirin 75mg dispersible tablets: One tablet each day",
            "Atorvastatin 80mg tablets: One tablet at night",
        ])
        .admitted(
            "Myocardial infarction",
            4,
            ("415070008", "Percutaneous coronary intervention"),
            "One stent to the left anterior descending artery. Cardiac rehabilitation arranged.",
        )
        .at_home("Chest pain on the hill to the shops; keeps a spray to hand."),
    problem("230690007", "Stroke", 60, 7)
        .takes(&["Clopidogrel 75mg tablets: One tablet each day"])
        .admitted(
            "Acute stroke",
            12,
            CT_HEAD,
            "Left-sided weakness improving with therapy. Soft diet, supervised.",
        )
        .at_home("Weak left arm: needs help with washing, dressing and cutting food."),
    problem("52448006", "Dementia", 68, 16)
        .takes(&["Donepezil 10mg tablets: One tablet at night"])
        .admitted(
            "Delirium",
            9,
            CT_HEAD,
            "Urinary infection treated. Usual carers before a new face, please.",
        )
        .at_home("Forgets meals and medicines, has left the gas on; the door is alarmed at night."),
    problem("49049000", "Parkinson's disease", 62, 4)
        .takes(&["Co-careldopa 25mg/100mg tablets: One tablet three times a day, on time"])
        .admitted(
            "Fall",
            5,
            CHEST_XRAY,
            "No fracture. Co-careldopa times were missed on admission; they matter.",
        )
        .at_home("Freezes in doorways; medicines must be given to the minute."),
    problem("5913000", "Fracture of neck of femur", 72, 8)
        .takes(&[
            "Paracetamol 500mg tablets: Two tablets four times a day",
            "Alendronic acid 70mg tablets: One tablet once a week, upright",
        ])
        .admitted(
            "Broken hip after a fall at home",
            14,
            ("52734007", "Total replacement of hip"),
            "Walks ten metres with a frame. Home with care four times a day.",
        )
        .at_home("Walks with a frame; transfers with one carer; commode by the bed."),
    problem("239873007", "Osteoarthritis of knee", 52, 18)
        .takes(&["Ibuprofen 10% gel: Rub in three times a day"])
        .booked(
            "Planned knee replacement",
            3,
            ("609588000", "Total replacement of knee joint"),
            "Uncomplicated. Clips out at ten days; physiotherapy as outpatient.",
        )
        .at_home("Cannot manage the bath; a shower with a seat would do."),
    problem("709044004", "Chronic kidney disease", 58, 12)
        .tested(&EGFR)
        .at_home("Tires early; appointments in the morning, please."),
    problem("40930008", "Hypothyroidism", 30, 7)
        .takes(&["Levothyroxine sodium 75microgram tablets: One tablet before breakfast"])
        .tested(&TSH)
        .at_home("Feels the cold; heating costs are a worry."),
    problem("35489007", "Depressive disorder", 16, 13)
        .takes(&["Sertraline 50mg tablets: One tablet each day"])
        .at_home("Low and withdrawn since losing a partner; does not answer the door."),
    problem("84757009", "Epilepsy", 8, 3)
        .takes(&["Lamotrigine 100mg tablets: One tablet twice a day"])
        .admitted(
            "Prolonged seizure",
            1,
            CT_HEAD,
            "Stopped with lorazepam. A dose had been missed. No driving.",
        )
        .at_home("Showers only with somebody in the house."),
    problem("24079001", "Atopic dermatitis", 0, 9)
        .takes(&["Hydrocortisone 1% cream: Apply thinly twice a day"])
        .at_home("Skin cracks in winter; creams before dressing."),
    problem("37796009", "Migraine", 14, 8)
        .takes(&["Sumatriptan 50mg tablets: One tablet at the start of an attack"])
        .at_home("Needs a dark room during attacks."),
    problem("233604007", "Pneumonia", 0, 5)
        .takes(&["Amoxicillin 500mg capsules: One capsule three times a day for five days"])
        .admitted(
            "Community acquired pneumonia",
            5,
            CHEST_XRAY,
            "Right lower lobe. Repeat X-ray in six weeks.",
        )
        .at_home("Weak after a long infection; meals delivered for six weeks."),
    problem("87522002", "Iron deficiency anaemia", 25, 6)
        .takes(&["Ferrous fumarate 210mg tablets: One tablet each day"])
        .booked(
            "Planned colonoscopy",
            1,
            ("73761001", "Colonoscopy"),
            "Two small polyps removed. Repeat in three years.",
        )
        .at_home("Easily exhausted; rests after each task."),
];

/// Allergies: SNOMED CT code, name, category, what happens.
pub static ALLERGIES: [(&str, &str, &str, &str); 6] = [
    (
        "91936005",
        "Allergy to penicillin",
        "medication",
        "Rash and swelling of the face",
    ),
    (
        "91939003",
        "Allergy to sulfonamide",
        "medication",
        "Widespread rash",
    ),
    ("293586001", "Allergy to aspirin", "medication", "Wheezing"),
    (
        "300916003",
        "Latex allergy",
        "environment",
        "Itching and weals",
    ),
    (
        "91935009",
        "Allergy to peanut",
        "food",
        "Anaphylaxis; carries an adrenaline pen",
    ),
    (
        "91934008",
        "Allergy to nut",
        "food",
        "Swelling of lips and tongue",
    ),
];
