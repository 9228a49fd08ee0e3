//! Reports people hand on: one text for the terminal, a spreadsheet and a page to print.

use std::path::PathBuf;

use fairshare_protocol::control::{Failure, WRONG};
use serde::Serialize;

use crate::output::{Output, Page, bytes};
use crate::paper;

mod csv;
mod html;

/// Where a report goes besides the terminal.
#[derive(Debug, clap::Args)]
pub struct To {
    /// Write the report into this file instead, of mode 0600; there must be none yet. Its ending says
    /// how: .html (one page, to print or hand on), .csv (a spreadsheet) or .json
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// What its file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Csv,
    Json,
}

/// Where a report was written.
#[derive(Debug, Serialize)]
struct Written {
    to: PathBuf,
    bytes: u64,
}

impl To {
    fn form(&self) -> Result<Option<(Form, &PathBuf)>, Failure> {
        let Some(path) = &self.to else {
            return Ok(None);
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let form = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Form::Html,
            Some("csv") => Form::Csv,
            Some("json") => Form::Json,
            _ => {
                let fact = format!("{}: no report ends so", path.display());
                let remedy = "name a file that ends in .html, .csv or .json";
                return Err(Failure::new(WRONG, fact, remedy));
            }
        };
        Ok(Some((form, path)))
    }

    /// Fails if there can be no such file: before anything is asked or done.
    pub fn check(&self) -> Result<(), Failure> {
        match self.form()? {
            Some((_, path)) => paper::is_new(path),
            None => Ok(()),
        }
    }

    /// Gives a report: into its file, or on the terminal; `answer` is what it is as JSON.
    pub fn give(
        &self,
        output: Output,
        answer: &impl Serialize,
        report: &Report,
    ) -> Result<(), Failure> {
        let Some((form, path)) = self.form()? else {
            output.answer(answer, |page| report.show(page));
            return Ok(());
        };
        let text = match form {
            Form::Html => html::page(report),
            Form::Csv => csv::sheet(&report.sheet),
            // Answers are read from JSON, so they have one.
            Form::Json => serde_json::to_string(answer).unwrap_or_default() + "\n",
        };
        let to = paper::write_new(path, &text)?;
        let bytes_written = text.len() as u64;
        let written = Written {
            to,
            bytes: bytes_written,
        };
        output.answer(&written, |page| {
            let (to, size) = (written.to.display(), bytes(bytes_written));
            page.line(format_args!("wrote {to}: {size}"));
            page.line(&report.holds);
        });
        Ok(())
    }
}

/// A report, for every form alike.
#[derive(Debug, Default)]
pub struct Report {
    /// What it is.
    pub title: String,
    /// What it is about, by name.
    pub fields: Vec<(&'static str, String)>,
    /// What it says.
    pub sections: Vec<Section>,
    /// What somebody it is handed to must know to take it rightly; operators do.
    pub notes: Vec<String>,
    /// All of it as one table, for programs.
    pub sheet: Table,
    /// Whom its file may be shown, in a line.
    pub holds: String,
}

/// A part of a report: a line or two, and a table.
#[derive(Debug, Default)]
pub struct Section {
    /// What it is.
    pub heading: String,
    /// What it says; without rows in the table, all of it.
    pub text: String,
    /// Its table; none without rows.
    pub table: Table,
}

/// A table.
#[derive(Debug, Default)]
pub struct Table {
    /// The names of its columns.
    pub head: Vec<&'static str>,
    /// Its rows, as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Report {
    /// The report on a page for the terminal.
    pub fn show(&self, page: &mut Page) {
        page.line(&self.title);
        if !self.fields.is_empty() {
            page.gap();
            page.fields(&self.fields);
        }
        for section in &self.sections {
            page.gap();
            if !section.heading.is_empty() {
                page.line(&section.heading);
            }
            if !section.text.is_empty() {
                page.line(&section.text);
            }
            if !section.table.rows.is_empty() {
                page.table(&section.table.head, section.table.rows.clone());
            }
        }
    }
}
