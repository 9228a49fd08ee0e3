//! Three organisations of a county that does not exist, and the people they look after.
//!
//! Everybody and everything here is made up; NHS numbers begin with 999, which belong to nobody.
//! The same seed makes the same people and the same files, byte for byte. What is written is what
//! such organisations really have: a trust's bulk export, a practice's transaction Bundles, a
//! council's case files with people whose NHS number it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use fairshare_protocol::index::key::NhsNumber;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::time::{DAY, Date, Timestamp};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use self::clinical::{ALLERGIES, PROBLEMS, Problem};

mod acute;
mod clinical;
mod council;
mod letter;
mod practice;
mod records;
#[cfg(test)]
mod tests;
mod words;

use MemberKind::{AcuteTrust, AdultSocialCare, GpPractice};

/// The day these people's records were written up: 2026-11-01.
const TODAY: Timestamp = Timestamp(20_758 * DAY);

/// An organisation that does not exist.
pub struct Organisation {
    pub kind: MemberKind,
    pub ods: &'static str,
    pub name: &'static str,
    /// Its directory, as `demo --from` wants it.
    pub directory: &'static str,
}

/// The three of the demo.
pub const ORGANISATIONS: [Organisation; 3] = [
    Organisation {
        kind: AcuteTrust,
        ods: "RZZ",
        name: "Wexmouth Hospitals NHS Foundation Trust",
        directory: "acute-RZZ",
    },
    Organisation {
        kind: GpPractice,
        ods: "Z00123",
        name: "Harbour View Surgery",
        directory: "gp-Z00123",
    },
    Organisation {
        kind: AdultSocialCare,
        ods: "998",
        name: "Wexshire County Council",
        directory: "la-998",
    },
];

/// Who looks after whom: 160 at the trust, 220 at the practice, 70 at the council; the youngest and
/// the oldest of each group.
const GROUPS: [(&[MemberKind], usize, (u32, u32)); 7] = [
    (&[GpPractice], 104, (0, 88)),
    (&[AcuteTrust, GpPractice], 66, (1, 92)),
    (&[AcuteTrust], 60, (0, 90)),
    (&[AcuteTrust, GpPractice, AdultSocialCare], 28, (58, 97)),
    (&[GpPractice, AdultSocialCare], 22, (22, 95)),
    (&[AdultSocialCare], 14, (19, 93)),
    (&[AcuteTrust, AdultSocialCare], 6, (60, 94)),
];

/// One person.
pub struct Person {
    nhs: NhsNumber,
    born: Date,
    age: u32,
    woman: bool,
    given: &'static str,
    family: &'static str,
    street: String,
    town: &'static str,
    postcode: String,
    phone: String,
    problems: Vec<&'static Problem>,
    allergy: Option<&'static (&'static str, &'static str, &'static str, &'static str)>,
    known: BTreeMap<MemberKind, Known>,
}

/// What one organisation has of a person's number and date of birth.
struct Known {
    /// The organisation's own number of the person.
    local: String,
    number: Number,
    born: Date,
}

/// How the NHS number stands in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Right,
    Mistyped,
    Missing,
}

/// All people, from one seed.
pub fn draw(seed: u64) -> Vec<Person> {
    let mut draw = Draw::new(seed);
    let mut numbers = BTreeSet::new();
    let mut people = Vec::new();
    let mut met: BTreeMap<MemberKind, usize> = BTreeMap::new();
    for (kinds, count, ages) in GROUPS {
        for _ in 0..count {
            let mut person = draw.person(ages, &mut numbers);
            for kind in kinds {
                let nth = met.entry(*kind).or_default();
                *nth += 1;
                let known = draw.known(&person, *kind, *nth);
                person.known.insert(*kind, known);
            }
            people.push(person);
        }
    }
    people
}

/// Writes what the three organisations hold of these people into sub-directories of `directory`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(people: &[Person], seed: u64, directory: &Path) -> io::Result<()> {
    for (nth, organisation) in (1..).zip(&ORGANISATIONS) {
        let directory = directory.join(organisation.directory);
        std::fs::create_dir(&directory)?;
        let theirs = people
            .iter()
            .filter_map(|person| Some((person, person.known.get(&organisation.kind)?)));
        let mut draw = Draw::new(seed + nth);
        match organisation.kind {
            AcuteTrust => acute::write(&directory, organisation, theirs, &mut draw)?,
            GpPractice => practice::write(&directory, organisation, theirs, &mut draw)?,
            _ => council::write(&directory, organisation, theirs, &mut draw)?,
        }
    }
    Ok(())
}

impl Person {
    fn takes(&self) -> impl Iterator<Item = &'static str> {
        self.problems
            .iter()
            .flat_map(|problem| problem.medicines.iter().copied())
    }
}

/// Everything left to chance.
struct Draw(Xoshiro256PlusPlus);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn person(
        &mut self,
        (youngest, oldest): (u32, u32),
        numbers: &mut BTreeSet<NhsNumber>,
    ) -> Person {
        let woman = self.0.random_bool(0.52);
        let age = self.number(youngest, oldest);
        let (town, district) = self.pick(&words::TOWNS);
        let of = |problem: &&Problem| age >= problem.from;
        let old_enough: Vec<_> = PROBLEMS.iter().filter(of).collect();
        let mut problems: Vec<_> = old_enough
            .iter()
            .copied()
            .filter(|problem| self.chance(problem.of_hundred))
            .collect();
        problems.truncate(5);
        if problems.is_empty() {
            problems.push(self.pick(&old_enough));
        }
        Person {
            nhs: self.nhs_number(numbers),
            born: self.birth_date(2025 - age),
            age,
            woman,
            given: self.pick(if woman { &words::WOMEN } else { &words::MEN }),
            family: self.pick(&words::FAMILIES),
            street: format!("{} {}", self.number(1, 120), self.pick(&words::STREETS)),
            town,
            postcode: format!(
                "{district} {}{}{}",
                self.number(1, 9),
                char::from(self.pick(words::POSTCODE)),
                char::from(self.pick(words::POSTCODE))
            ),
            // A range kept for drama, which rings nowhere.
            phone: format!("01632 960{:03}", self.number(0, 999)),
            problems,
            allergy: self
                .chance(18)
                .then(|| ALLERGIES.choose(&mut self.0))
                .flatten(),
            known: BTreeMap::new(),
        }
    }

    /// A valid number beginning with 999 that nobody here has yet.
    fn nhs_number(&mut self, taken: &mut BTreeSet<NhsNumber>) -> NhsNumber {
        loop {
            let first_nine = 999_000_000 + u64::from(self.number(0, 999_999));
            let with_check =
                (0..10).find_map(|check| NhsNumber::try_from(first_nine * 10 + check).ok());
            if let Some(number) = with_check.filter(|number| taken.insert(*number)) {
                return number;
            }
        }
    }

    fn birth_date(&mut self, year: u32) -> Date {
        loop {
            let (month, day) = (self.number(1, 12), self.number(1, 31));
            if let Ok(date) = format!("{year:04}-{month:02}-{day:02}").parse() {
                return date;
            }
        }
    }

    /// What the `nth` person of an organisation is there: some numbers are missing or mistyped, and
    /// some dates of birth are wrong, as in any register.
    fn known(&mut self, person: &Person, kind: MemberKind, nth: usize) -> Known {
        let (letter, number, born) = match kind {
            AcuteTrust if nth % 40 == 20 => ('H', Number::Missing, person.born),
            AcuteTrust if nth % 50 == 30 => ('H', Number::Right, self.other_day(person.born)),
            AcuteTrust => ('H', Number::Right, person.born),
            AdultSocialCare if nth % 9 == 4 => ('S', Number::Missing, person.born),
            AdultSocialCare if nth % 31 == 15 => ('S', Number::Mistyped, person.born),
            AdultSocialCare => ('S', Number::Right, person.born),
            _ => ('P', Number::Right, person.born),
        };
        // Unique, as the last three digits are.
        let local = format!("{letter}{}{nth:03}", self.number(100, 999));
        Known {
            local,
            number,
            born,
        }
    }

    fn other_day(&mut self, born: Date) -> Date {
        let (year, ..) = <(u16, u8, u8)>::from(born);
        loop {
            let other = self.birth_date(u32::from(year));
            if other != born {
                return other;
            }
        }
    }

    fn number(&mut self, least: u32, most: u32) -> u32 {
        self.0.random_range(least..=most)
    }

    fn chance(&mut self, of_hundred: u32) -> bool {
        self.number(1, 100) <= of_hundred
    }

    /// One of a table, which is never empty.
    fn pick<T: Copy>(&mut self, table: &[T]) -> T {
        table[self.0.random_range(0..table.len())]
    }

    /// A moment in working hours, at most `days` days ago.
    fn ago(&mut self, days: u32) -> Timestamp {
        let day = TODAY.day() - u64::from(self.number(3, days.max(4)));
        Timestamp(day * DAY + u64::from(self.number(8 * 12, 18 * 12)) * 5 * 60 * 1000)
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.0.random::<u64>(), self.0.random::<u64>());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        )
    }
}
