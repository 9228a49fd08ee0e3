//! One page that needs nothing else: no script, no font, no picture, nothing fetched.

use std::fmt::Write as _;

use super::{Report, Section, Table};

/// How it looks, on a screen and on paper.
const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;color:#0b0c0c;background:#fff;margin:2rem auto;max-width:72rem;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1.2rem;margin:2rem 0 .5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.5rem;margin:1rem 0}
dt{color:#505a5f}
dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid #b1b4b6;overflow-wrap:anywhere}
th{font-size:.85rem;color:#505a5f;border-bottom-width:2px}
footer{margin-top:2rem;border-top:1px solid #b1b4b6;color:#383f43}
@media print{body{font-size:10pt;margin:0;max-width:none;padding:0}thead{display:table-header-group}tr{break-inside:avoid}h2{break-after:avoid}}
";

/// The report as a page.
pub fn page(report: &Report) -> String {
    let title = safe(&report.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    if !report.fields.is_empty() {
        text.push_str("<dl>\n");
        for (name, value) in &report.fields {
            let _ = writeln!(text, "<dt>{}</dt><dd>{}</dd>", safe(name), safe(value));
        }
        text.push_str("</dl>\n");
    }
    for section in &report.sections {
        part(&mut text, section);
    }
    if !report.notes.is_empty() {
        text.push_str("<footer>\n");
        for note in &report.notes {
            let _ = writeln!(text, "<p>{}</p>", safe(note));
        }
        text.push_str("</footer>\n");
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn part(text: &mut String, section: &Section) {
    if !section.heading.is_empty() {
        let _ = writeln!(text, "<h2>{}</h2>", safe(&section.heading));
    }
    if !section.text.is_empty() {
        let _ = writeln!(text, "<p>{}</p>", safe(&section.text));
    }
    let Table { head, rows } = &section.table;
    if rows.is_empty() {
        return;
    }
    text.push_str("<table>\n<thead><tr>");
    for name in head {
        let _ = write!(text, "<th scope=\"col\">{}</th>", safe(name));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for cell in row {
            let _ = write!(text, "<td>{}</td>", safe(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n");
}

/// The text with nothing a browser would take for anything else, and nothing that turns its
/// direction.
fn safe(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {}
            control if control.is_control() => escaped.push(' '),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_others_wrote_stays_text_and_nothing_is_fetched() {
        let nasty = "<script>alert(1)</script>\" onload='x' &amp; \u{202e}abc\u{0}\nhttp://evil";
        let report = Report {
            title: nasty.to_owned(),
            fields: vec![("name", nasty.to_owned())],
            sections: vec![Section {
                heading: nasty.to_owned(),
                text: nasty.to_owned(),
                table: Table {
                    head: vec!["WHO"],
                    rows: vec![vec![nasty.to_owned()]],
                },
            }],
            notes: vec![nasty.to_owned()],
            ..Report::default()
        };
        let page = page(&report);
        let escaped =
            "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;amp; abc  http";
        // The title twice, and everything else once.
        assert_eq!(page.matches(escaped).count(), 7);
        for bad in [
            "<script", "\u{202e}", "\u{0}", "src=", "href=", "url(", "@import",
        ] {
            assert!(!page.contains(bad), "{bad:?}");
        }
        for tag in [
            "html", "head", "body", "table", "thead", "tbody", "dl", "footer",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, 1, "{tag}");
            assert_eq!(page.matches(&format!("</{tag}>")).count(), 1, "{tag}");
        }
    }
}
