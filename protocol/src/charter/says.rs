//! What a charter says, for people.

use std::collections::BTreeSet;

use super::Charter;
use crate::category::Category;

impl Charter {
    /// What it says, as names and values: where there is one before, only what is not as there.
    pub fn says(&self, before: Option<&Self>) -> Vec<(String, String)> {
        let mut says = vec![("version", self.version.to_string())];
        if before.is_none_or(|it| it.name != self.name) {
            says.push(("name", self.name.to_string()));
        }
        if before.is_none_or(|it| it.agreement != self.agreement) {
            says.push(("agreement", self.agreement.to_string()));
        }
        for (code, key) in &self.stewards {
            if before.is_none_or(|it| it.stewards.get(code) != Some(key)) {
                says.push(("steward", format!("{code} with the key {key}")));
            }
        }
        for code in before.iter().flat_map(|it| it.stewards.keys()) {
            if !self.stewards.contains_key(code) {
                says.push(("no steward", code.to_string()));
            }
        }
        let must = |it: &Self| (it.threshold, it.stewards.len());
        if before.is_none_or(|it| must(it) != must(self)) {
            let of = self.stewards.len();
            says.push(("must sign", format!("{} of {of}", self.threshold)));
        }
        let epochs = (self.epoch_days, self.epoch_start);
        if before.is_none_or(|it| (it.epoch_days, it.epoch_start) != epochs) {
            let until = before.map(|it| format!(", {} until then", it.epoch_days));
            let until = until.unwrap_or_default();
            let epochs = format!("of {} days from {}{until}", epochs.0, epochs.1);
            says.push(("epochs", epochs));
        }
        if before.is_none_or(|it| it.equivalences != self.equivalences) {
            says.push(("equivalent", sets(&self.equivalences)));
        }
        if before.is_none_or(|it| it.additions_per_day != self.additions_per_day) {
            let most = format!("at most {} people a member and day", self.additions_per_day);
            says.push(("additions", most));
        }
        says.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

fn sets(sets: &[BTreeSet<Category>]) -> String {
    let set = |set: &BTreeSet<Category>| {
        let words: Vec<_> = set.iter().map(|it| it.word()).collect();
        words.join(" = ")
    };
    if sets.is_empty() {
        return "nothing but each category to itself".to_owned();
    }
    sets.iter().map(set).collect::<Vec<_>>().join("; ")
}
