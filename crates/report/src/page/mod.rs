//! One page of results that stands by itself: every figure, table, claim and row in a single HTML file, which asks nothing
//! of any network and is whole without its script. The same results give the same bytes.

mod chapter;
mod claims;
mod fairness;
mod figure;
mod front;
mod machine;
mod methods;
mod published;
mod rows;
mod strip;
mod tables;

mod places;

mod splice;

pub use splice::{SpliceError, splice};

use crate::claims::Decision;
use crate::summary::{Summary, summarise};
use crate::table::Table;
use maud::{DOCTYPE, PreEscaped, html};
use places::Places;
use seqbench_record::CellFiles;

/// One experiment of a page.
#[derive(Clone, Debug)]
pub struct Chapter<'a> {
    /// Name of the experiment.
    pub name: String,
    /// What it asks; empty for nothing.
    pub question: String,
    /// What was expected before it ran; empty for nothing.
    pub expectation: String,
    /// Folder of its results, relative, as the reader is to find it.
    pub folder: String,
    /// Its cells. Their order does not matter.
    pub cells: &'a [CellFiles],
    /// Text of its file.
    pub experiment_toml: Option<String>,
}

/// What a page is made of.
#[derive(Clone, Debug, Default)]
pub struct Page<'a> {
    /// What the page is called.
    pub title: String,
    /// Its experiments, in reading order.
    pub chapters: Vec<Chapter<'a>>,
    /// What was decided of which claims, in reading order.
    pub decisions: Vec<Decision>,
    /// Tables of published numbers beside ours.
    pub published: Vec<Table>,
    /// What a reader must know of how numbers were made, a paragraph each, beyond what every page says.
    pub methods: Vec<String>,
}

/// A chapter with what the page says of it.
struct Told<'a> {
    chapter: &'a Chapter<'a>,
    summary: Summary,
    /// Beginning of every anchor of the chapter.
    anchor: String,
}

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, a whole HTML document in UTF-8.
pub fn html(page: &Page<'_>) -> String {
    let told: Vec<Told<'_>> = page
        .chapters
        .iter()
        .enumerate()
        .map(|(place, chapter)| Told {
            chapter,
            summary: summarise(chapter.cells),
            anchor: format!("e{}", place + 1),
        })
        .collect();
    let places: Vec<Places<'_>> =
        told.iter().map(|told| Places::of(&told.anchor, told.chapter.cells)).collect();
    let pairs = || told.iter().zip(&places);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#main" { "Skip to the results" }
                (front::header(page, &told))
                (front::contents(page, &told))
                main id="main" tabindex="-1" {
                    (claims::section(&page.decisions, &told, &places))
                    @for (told, places) in pairs() {
                        (chapter::section(told, places))
                    }
                    (published::section(&page.published))
                    (methods::section(page, &told))
                    (fairness::section(&told, &places))
                    (machine::section(&told))
                    (rows::section(&told, &places))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}
