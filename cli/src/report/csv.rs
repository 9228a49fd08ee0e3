//! A table for spreadsheets (RFC 4180), in which nothing is taken for a formula.

use super::Table;

/// The table as UTF-8 with the mark by which spreadsheets know it.
pub fn sheet(table: &Table) -> String {
    let mut text = String::from('\u{feff}');
    line(&mut text, table.head.iter().copied());
    for row in &table.rows {
        line(&mut text, row.iter().map(String::as_str));
    }
    text
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&quoted(cell));
    }
    text.push_str("\r\n");
}

/// Others wrote the names and reasons in it: none may run when somebody opens the file.
fn quoted(cell: &str) -> String {
    let formula = cell.trim_start_matches(' ').starts_with(|first: char| {
        matches!(
            first,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
        )
    });
    let guard = if formula { "'" } else { "" };
    if cell.contains([',', '"', '\r', '\n', '\t', ';']) || cell.trim() != cell || formula {
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_sheet_is_a_formula_or_breaks_its_cell() {
        for (cell, written) in [
            ("1,234", "\"1,234\""),
            ("plain words", "plain words"),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("+44 20", "\"'+44 20\""),
            ("-2", "\"'-2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("  =1", "\"'  =1\""),
            ("＝1", "\"'＝1\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), written, "{cell:?}");
        }
        let table = Table {
            head: vec!["a", "b"],
            rows: vec![vec!["1".into(), "x,y".into()]],
        };
        assert_eq!(sheet(&table), "\u{feff}a,b\r\n1,\"x,y\"\r\n");
    }
}
