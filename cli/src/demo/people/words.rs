//! Names of people, streets and places. None of them is anybody's; the postcodes are of districts
//! that do not exist.

/// Given names of women and girls.
pub const WOMEN: [&str; 40] = [
    "Abigail",
    "Agnes",
    "Aisha",
    "Alice",
    "Amina",
    "Beatrice",
    "Bethan",
    "Carol",
    "Charlotte",
    "Chloe",
    "Doreen",
    "Edith",
    "Eileen",
    "Elsie",
    "Fatima",
    "Fiona",
    "Freya",
    "Gwen",
    "Hannah",
    "Ivy",
    "Jean",
    "Joan",
    "Joyce",
    "Kathleen",
    "Leila",
    "Lily",
    "Margaret",
    "Maureen",
    "Mei",
    "Niamh",
    "Nia",
    "Olivia",
    "Patricia",
    "Priya",
    "Rose",
    "Sheila",
    "Sian",
    "Sunita",
    "Valerie",
    "Zofia",
];

/// Given names of men and boys.
pub const MEN: [&str; 40] = [
    "Adam", "Ahmed", "Albert", "Alun", "Anil", "Arthur", "Barry", "Brian", "Callum", "Clive",
    "Daniel", "David", "Derek", "Dylan", "Edward", "Ernest", "Frank", "George", "Gerald", "Graham",
    "Harold", "Hassan", "Ian", "Jack", "James", "Kenneth", "Kwame", "Leonard", "Liam", "Malcolm",
    "Neil", "Noah", "Omar", "Piotr", "Rajesh", "Ronald", "Samuel", "Stanley", "Terence", "Walter",
];

/// Family names.
pub const FAMILIES: [&str; 72] = [
    "Ahmed",
    "Ali",
    "Allen",
    "Atkinson",
    "Bailey",
    "Baker",
    "Begum",
    "Bell",
    "Bennett",
    "Brown",
    "Carter",
    "Chapman",
    "Chaudhry",
    "Clarke",
    "Collins",
    "Cook",
    "Cooper",
    "Davies",
    "Dixon",
    "Edwards",
    "Ellis",
    "Evans",
    "Fisher",
    "Foster",
    "Gill",
    "Gray",
    "Green",
    "Griffiths",
    "Hall",
    "Harris",
    "Harrison",
    "Hill",
    "Holmes",
    "Hughes",
    "Hussain",
    "Jackson",
    "James",
    "Jones",
    "Kaur",
    "Kelly",
    "Khan",
    "Knight",
    "Kowalski",
    "Lee",
    "Lewis",
    "Lloyd",
    "Marshall",
    "Mason",
    "Mensah",
    "Miller",
    "Mitchell",
    "Morgan",
    "Murphy",
    "Nowak",
    "Okafor",
    "Palmer",
    "Patel",
    "Pearce",
    "Phillips",
    "Price",
    "Reid",
    "Richards",
    "Roberts",
    "Rogers",
    "Shah",
    "Shaw",
    "Singh",
    "Taylor",
    "Thompson",
    "Walker",
    "Williams",
    "Wright",
];

/// Streets.
pub const STREETS: [&str; 24] = [
    "Albert Road",
    "Barn Close",
    "Chapel Lane",
    "Church Street",
    "Coronation Avenue",
    "Dock Street",
    "Elm Grove",
    "Fore Street",
    "George Street",
    "Harbour View",
    "High Street",
    "Kiln Lane",
    "Lime Tree Walk",
    "Mill Lane",
    "Nelson Terrace",
    "Orchard Way",
    "Park Road",
    "Quarry Hill",
    "Saltmarsh Drive",
    "School Lane",
    "Station Road",
    "Victoria Terrace",
    "West Street",
    "Windmill Rise",
];

/// Towns and villages of Wexshire, with their post town's district.
pub const TOWNS: [(&str, &str); 8] = [
    ("Wexmouth", "WX1"),
    ("Wexmouth", "WX2"),
    ("Saltby", "WX4"),
    ("Combe Ashby", "WX5"),
    ("Hartle Cross", "WX6"),
    ("Nether Wexford", "WX7"),
    ("Thornley-on-Sea", "WX9"),
    ("Marlow Heath", "WX11"),
];

/// The letters of a postcode's second half.
pub const POSTCODE: &[u8] = b"ABDEFGHJLNPQRSTUWXYZ";

/// Clinicians: code, title, given name, family name.
pub type Clinician = (&'static str, &'static str, &'static str, &'static str);

/// Doctors and nurses of the hospital.
pub const HOSPITAL: [Clinician; 5] = [
    ("RZZ-C101", "Dr", "Ruth", "Adeyemi"),
    ("RZZ-C102", "Mr", "Tom", "Blackwood"),
    ("RZZ-C103", "Dr", "Meera", "Nair"),
    ("RZZ-C104", "Dr", "Gareth", "Pugh"),
    ("RZZ-C105", "Sister", "Claire", "Donovan"),
];

/// Doctors and nurses of the practice.
pub const SURGERY: [Clinician; 3] = [
    ("Z00123-G1", "Dr", "Helen", "Marsh"),
    ("Z00123-G2", "Dr", "Imran", "Siddiqui"),
    ("Z00123-N1", "Nurse", "Beth", "Cole"),
];

/// Social workers of the council.
pub const COUNCIL: [Clinician; 3] = [
    ("998-S31", "Ms", "Janet", "Oyelaran"),
    ("998-S32", "Mr", "Paul", "Trevithick"),
    ("998-S33", "Ms", "Sadia", "Rahman"),
];
