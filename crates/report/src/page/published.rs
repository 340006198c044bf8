//! Published numbers beside ours.

use super::tables;
use crate::table::Table;
use maud::{Markup, html};

pub(super) fn section(published: &[Table]) -> Markup {
    html! {
        @if !published.is_empty() {
            section id="published" aria-labelledby="published-name" {
                h2 id="published-name" { "Beside published numbers" }
                @for (place, own) in published.iter().enumerate() {
                    (tables::table(own, &format!("published-{}", place + 1), None))
                }
            }
        }
    }
}
