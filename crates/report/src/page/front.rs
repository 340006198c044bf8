//! What stands first: the title with what is asked, and the contents.

use super::{Page, Told};
use maud::{Markup, html};

pub(super) fn header(page: &Page<'_>, told: &[Told<'_>]) -> Markup {
    let asked: Vec<&Told<'_>> = told.iter().filter(|told| !told.chapter.question.is_empty()).collect();
    html! {
        header {
            h1 { (page.title) }
            @match asked[..] {
                [] => {},
                [only] => p class="question" { (only.chapter.question) },
                _ => ul class="questions" {
                    @for told in asked {
                        li { a href={ "#" (told.anchor) } { (told.chapter.name) } ": " (told.chapter.question) }
                    }
                },
            }
        }
    }
}

pub(super) fn contents(page: &Page<'_>, told: &[Told<'_>]) -> Markup {
    html! {
        nav class="contents" aria-label="Contents" {
            ol {
                @if !page.decisions.is_empty() { li { a href="#claims" { "Claims" } } }
                @for told in told { li { a href={ "#" (told.anchor) } { (told.chapter.name) } } }
                @if !page.published.is_empty() { li { a href="#published" { "Beside published numbers" } } }
                li { a href="#methods" { "Methods" } }
                li { a href="#fairness" { "Fairness" } }
                li { a href="#machine" { "Machine and revision" } }
                li { a href="#rows" { "Rows" } }
            }
        }
    }
}
