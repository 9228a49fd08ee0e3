//! Letters: as text, and as the smallest PDF that viewers open.

use std::fmt::Write as _;

use fairshare_protocol::time::Timestamp;

use super::records::date;
use super::{Known, Organisation, Person};

/// The lines of a letter about one person.
pub fn lines(
    from: &Organisation,
    person: &Person,
    known: &Known,
    at: Timestamp,
    title: &str,
    body: &[String],
) -> Vec<String> {
    let mut lines = vec![
        from.name.to_owned(),
        format!("{title}, {}", date(at)),
        String::new(),
        format!(
            "{} {}, born {}",
            person.given,
            person.family,
            known.born.expose()
        ),
        format!("{}, {}, {}", person.street, person.town, person.postcode),
        format!("Our number {}", known.local),
        String::new(),
    ];
    lines.extend_from_slice(body);
    lines.push(String::new());
    lines.push("Everybody in this letter is made up.".into());
    lines
}

/// The lines as a page of PDF 1.4. They are plain ASCII.
pub fn pdf(lines: &[String]) -> Vec<u8> {
    let mut page = String::from("BT /F1 11 Tf 56 780 Td 15 TL\n");
    for line in lines {
        let line = line
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        // Writing to a String cannot fail.
        let _ = writeln!(page, "({line}) Tj T*");
    }
    page.push_str("ET\n");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R \
         /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{page}endstream", page.len()),
    ];
    let mut out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in (1..).zip(&objects) {
        let _ = writeln!(table, "{:010} 00000 n ", out.len());
        out.extend_from_slice(format!("{number} 0 obj\n{object}\nendobj\n").as_bytes());
    }
    let start = out.len();
    let trailer = format!(
        "xref\n0 6\n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    out.extend_from_slice(trailer.as_bytes());
    out
}
