//! The page of results: a document that browsers, keyboards and screen readers can use, in which every number leads to its
//! cells.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use scraper::{ElementRef, Html, Selector};
use seqbench_record::{CellFiles, Provenance};
use seqbench_report::claims::{Decision, Outcome, Side};
use seqbench_report::page::{Chapter, Page, html};
use seqbench_report::plot::figures;
use seqbench_report::statistics::{Interval, SeedValue};
use seqbench_report::table::tables;
use serde_json::json;
use std::collections::BTreeSet;

/// Sweeps, trials, a run that diverged, gradients and times.
fn sweep() -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for (model, reach) in [("lstm", 100), ("rnn relu", 10)] {
        for lag in [10, 30, 100] {
            for seed in 0..3 {
                let accuracy = if lag <= reach { 0.98 + 0.01 * seed as f64 } else { 0.123_456_789_012_345 };
                let mut files = solved_at(model, lag, seed, accuracy);
                files.profiles = [0, 1, 2, 4, 8].map(|d| profile(d, -0.05 * d as f64, true)).into();
                files.cell.provenance =
                    Provenance { version: "0.1.0".into(), revision: "abc".into(), ..Provenance::default() };
                cells.push(files);
            }
        }
        for length in [64, 256, 1024] {
            let coordinates = [
                ("mode", json!("train")),
                ("length", json!(length)),
                ("batch", json!(32)),
                ("threads", json!("all")),
            ];
            cells.push(timed(model, &coordinates, rounds("train", 32, &[(length, length * 10_000)])));
        }
        for (rate, last) in [(0.001, 0.5), (0.01, 0.9)] {
            cells.push(trial(model, rate, 7, "accuracy", last));
        }
        cells.push(selected(model, 0.01, &[0.001, 0.01], 0, 0.97));
    }
    cells.push(diverged_at("rnn relu", 100, 3));
    cells
}

/// Two tasks, which make a study.
fn languages() -> Vec<CellFiles> {
    let of = |model, task, seed| extrapolating(model, task, (8, 0.99), &[(9, 0.9), (12, 0.8)], seed);
    let pairs = [("lstm", "parity"), ("lstm", "even-pairs"), ("ssm", "parity"), ("ssm", "even-pairs")];
    pairs.iter().flat_map(|(model, task)| (0..2).map(|seed| of(model, task, seed))).collect()
}

fn decision(outcome: Outcome, cells: &[&str]) -> Decision {
    let side = |name: &str| Side {
        name: name.into(),
        values: (0..cells.len() as u64)
            .map(|seed| SeedValue { seed, value: 0.1 + seed as f64 / 7.0 })
            .collect(),
        cells: cells.iter().map(|id| id.to_string()).collect(),
    };
    Decision {
        name: "a-claim".into(),
        claim: "An LSTM remembers farther.".into(),
        source: "A paper, https://example.org/a?b=1&c=2.".into(),
        experiment: "quick".into(),
        outcome,
        test: "mean".into(),
        sides: vec![side("lstm lag=30"), side("rnn lag=30")],
        effect: Some(0.5),
        interval: Some(Interval { low: 0.25, high: 0.75 }),
        unit: "decades".into(),
        margin: 0.2,
        confidence: 0.95,
        p: Some(0.01),
        adjusted: Some(0.04),
        seeds_needed: Some(12),
        notes: vec!["A note.".into()],
    }
}

fn chapter<'a>(name: &str, cells: &'a [CellFiles]) -> Chapter<'a> {
    Chapter {
        name: name.into(),
        question: format!("What of {name}?"),
        expectation: "Something.".into(),
        folder: format!("results/{name}/slug"),
        cells,
        experiment_toml: Some("question = \"<what>\"\n".into()),
    }
}

/// Everything a page can hold.
fn page<'a>(sweep: &'a [CellFiles], languages: &'a [CellFiles]) -> Page<'a> {
    let outcomes = [Outcome::Supported, Outcome::Refuted, Outcome::Inconclusive, Outcome::Open];
    Page {
        title: "Results & more".into(),
        chapters: vec![chapter("quick", sweep), chapter("languages", languages), chapter("empty", &[])],
        decisions: outcomes.map(|outcome| decision(outcome, &["lstm-lag30-0", "gone"])).into(),
        published: tables(sweep).into_iter().take(1).collect(),
        methods: vec!["A word on methods.".into()],
    }
}

fn whole() -> String {
    html(&page(&sweep(), &languages()))
}

fn all<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    document.select(&Selector::parse(selector).unwrap()).collect()
}

fn within<'a>(element: ElementRef<'a>, selector: &str) -> Vec<ElementRef<'a>> {
    element.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

fn by_id<'a>(document: &'a Html, id: &str) -> ElementRef<'a> {
    all(document, &format!("[id=\"{id}\"]")).pop().unwrap_or_else(|| panic!("nothing is called {id}"))
}

#[test]
fn the_page_is_a_document_without_errors() {
    let document = Html::parse_document(&whole());
    assert_eq!(document.errors, Vec::<std::borrow::Cow<'static, str>>::new());
    assert_eq!(all(&document, "html[lang=en]").len(), 1);
    assert_eq!(all(&document, "main").len(), 1);
    assert_eq!(all(&document, "nav[aria-label]").len(), 1);
    assert!(all(&document, "figure").len() > 5);
    let broken = Html::parse_document("<!DOCTYPE html><title>a</title><p></div>");
    assert!(!broken.errors.is_empty(), "the parser tells errors");
}

#[test]
fn every_identity_is_one_elements_and_every_reference_leads_to_one() {
    let document = Html::parse_document(&whole());
    let ids: Vec<&str> = all(&document, "[id]").iter().map(|own| own.attr("id").unwrap()).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
    assert!(ids.iter().all(|id| !id.contains(char::is_whitespace)));
    let mut links = 0;
    for link in all(&document, "a[href]") {
        let Some(id) = link.attr("href").unwrap().strip_prefix('#') else { continue };
        assert!(distinct.contains(id), "#{id} leads nowhere");
        links += 1;
    }
    assert!(links > 40, "{links} links");
    for name in ["aria-labelledby", "aria-describedby"] {
        for own in all(&document, &format!("[{name}]")) {
            assert!(distinct.contains(own.attr(name).unwrap()), "{name} of {}", own.value().name());
        }
    }
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let page = whole();
    let document = Html::parse_document(&page);
    for selector in ["[src]", "[srcset]", "link", "iframe", "object", "use", "image", "base", "form"] {
        assert_eq!(all(&document, selector).len(), 0, "{selector}");
    }
    for word in ["@import", "url(", "fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon"] {
        assert!(!page.contains(word), "{word}");
    }
    let outward: Vec<&str> = all(&document, "[href]")
        .iter()
        .map(|own| own.attr("href").unwrap())
        .filter(|href| !href.starts_with('#'))
        .collect();
    assert_eq!(outward, ["https://example.org/a?b=1&c=2"; 4], "citations alone lead out");
}

#[test]
fn every_table_has_a_caption_and_headers_with_a_scope() {
    let document = Html::parse_document(&whole());
    let tables = all(&document, "table");
    assert!(tables.len() > 10);
    for table in tables {
        let caption = within(table, "caption");
        assert_eq!(caption.len(), 1);
        assert!(!text(caption[0]).trim().is_empty());
        let columns = within(table, "thead th[scope=col]").len();
        assert!(columns > 1 && within(table, "th:not([scope])").is_empty());
        for row in within(table, "tbody tr") {
            assert_eq!(within(row, "th[scope=row]").len(), 1);
            assert_eq!(within(row, "th, td").len(), columns, "{}", text(caption[0]));
        }
    }
}

#[test]
fn every_drawing_has_a_role_a_title_and_words() {
    let document = Html::parse_document(&whole());
    let drawings = all(&document, "svg");
    let strips = all(&document, "svg.strip");
    assert!(strips.len() == 4 && drawings.len() > strips.len());
    for drawing in drawings {
        assert_eq!(drawing.attr("role"), Some("img"));
        let title = by_id(&document, drawing.attr("aria-labelledby").unwrap());
        let words = by_id(&document, drawing.attr("aria-describedby").unwrap());
        assert!(text(title).len() > 5 && text(words).len() > 5);
    }
}

#[test]
fn headings_descend_one_level_at_a_time_from_a_single_first() {
    let document = Html::parse_document(&whole());
    let levels: Vec<u8> = all(&document, "h1, h2, h3, h4, h5, h6")
        .iter()
        .map(|own| own.value().name().as_bytes()[1] - b'0')
        .collect();
    assert_eq!((levels[0], levels.iter().filter(|level| **level == 1).count()), (1, 1));
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
}

#[test]
fn every_cell_has_a_row_with_its_files_and_its_score_in_full() {
    let (sweep, languages) = (sweep(), languages());
    let document = Html::parse_document(&html(&page(&sweep, &languages)));
    for (name, cells) in [("quick", &sweep), ("languages", &languages)] {
        for files in cells {
            let path = format!("results/{name}/slug/cells/{}/", files.cell.id);
            let rows = all(&document, ".rows tbody tr");
            let own: Vec<_> = rows.into_iter().filter(|row| text(*row).contains(&path)).collect();
            assert_eq!(own.len(), 1, "{path}");
            assert!(own[0].attr("id").is_some());
            if let (Some(score), "quick") = (files.scores.first(), name) {
                assert!(text(own[0]).contains(&format!("accuracy {}", score.value)), "{}", text(own[0]));
            }
        }
    }
    let rows: String = all(&document, ".rows").into_iter().map(text).collect();
    assert!(rows.contains("0.123456789012345"));
    assert!(rows.contains("diverged: loss became NaN at step 120"));
    assert!(rows.contains("trial of rate 0.001") && rows.contains("median 640000 ns"));
}

#[test]
fn every_row_of_every_table_leads_to_the_cells_it_is_made_of() {
    let (sweep, languages) = (sweep(), languages());
    let document = Html::parse_document(&html(&page(&sweep, &languages)));
    for (anchor, cells) in [("e1", &sweep), ("e2", &languages)] {
        for table in tables(cells) {
            let shown = by_id(&document, &format!("{anchor}-{}", table.name));
            let rows = within(shown, "tbody tr");
            assert_eq!(rows.len(), table.rows.len(), "{}", table.name);
            for row in rows {
                let links = within(row, "a[href]");
                assert!(!links.is_empty(), "{}: {}", table.name, text(row));
                for link in links {
                    let target = by_id(&document, &link.attr("href").unwrap()[1..]);
                    assert!(text(target).contains("/cells/"), "{}: {}", table.name, text(row));
                }
            }
        }
    }
    for row in all(&document, "#fairness tbody tr") {
        assert!(!within(row, "a[href]").is_empty(), "{}", text(row));
    }
    // A setting's row leads to that setting, with its number of runs.
    let accuracy = by_id(&document, "e1-accuracy");
    let row =
        within(accuracy, "tbody tr").into_iter().find(|row| text(*row).starts_with("rnn relu100")).unwrap();
    let link = within(row, "a")[0];
    assert_eq!(text(link), "4 cells of rnn relu");
    let target = by_id(&document, &link.attr("href").unwrap()[1..]);
    let ids = ["rnn relu-lag100-0", "rnn relu-lag100-3"].map(|id| format!("cells/{id}/"));
    assert!(ids.iter().all(|id| text(target).contains(id)) && !text(target).contains("lag30"));
    // The one cell of a timed row is led to itself.
    let timed = by_id(&document, "e1-throughput");
    let link = within(timed, "tbody tr a")[0];
    let target = by_id(&document, &link.attr("href").unwrap()[1..]);
    assert_eq!((target.value().name(), text(link).as_str()), ("tr", "1 cell of rnn relu"));
    assert!(text(target).contains("length=64"));
}

#[test]
fn a_claim_is_told_in_words_and_leads_to_the_cells_that_decided_it() {
    let document = Html::parse_document(&whole());
    let claims = all(&document, "article.claim");
    let words = ["supported", "refuted", "inconclusive", "open"];
    for (claim, word) in claims.iter().zip(words) {
        assert!(text(within(*claim, ".verdict")[0]).contains(word));
    }
    let family =
        "adjusted over all claims of the family, on this page or not; one whose runs are missing counts as 1";
    assert!(text(by_id(&document, "claims")).contains(family));
    let told = text(claims[0]);
    for part in
        ["0.500 decades [0.250, 0.750] (95\u{a0}%)", "0.0100", "adjusted 0.0400", "threshold 0.05", "A note."]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(told.contains("about 12 a side") && told.contains("0.24285714285714285"));
    assert_eq!(text(within(claims[0], "a[href=\"#e1\"]")[0]), "quick", "the experiment that decides it");
    let links = within(claims[0], "a[href^=\"#e1-c-\"]");
    assert_eq!(links.len(), 2, "one a side");
    let target = by_id(&document, &links[0].attr("href").unwrap()[1..]);
    assert!(text(target).contains("cells/lstm-lag30-0/"));
    assert_eq!(told.matches("(not on this page)").count(), 2);
    let strip = within(claims[0], "svg.strip")[0];
    let drawn = (within(strip, "circle").len(), within(strip, "rect").len(), within(strip, ".margin").len());
    assert_eq!(drawn, (2, 2, 1));
}

#[test]
fn figures_are_whole_and_there_are_as_many() {
    let (sweep, languages) = (sweep(), languages());
    let document = Html::parse_document(&html(&page(&sweep, &languages)));
    let figures: Vec<_> = figures(&sweep).into_iter().chain(figures(&languages)).collect();
    let shown = all(&document, "figure svg");
    assert_eq!(shown.len(), figures.len());
    for (shown, figure) in shown.iter().zip(&figures) {
        assert!(figure.svg.contains(&format!("viewBox=\"{}\"", shown.attr("viewBox").unwrap())));
        let of_file = Html::parse_fragment(&figure.svg);
        let drawn = all(&of_file, "svg > g")[0];
        assert_eq!(within(*shown, "g")[0].html(), drawn.html(), "{}", figure.title);
    }
}

#[test]
fn what_looks_like_markup_does_no_harm() {
    let evil = "x<script>alert(1)</script>\"'&";
    let mut cells = sweep();
    for files in cells.iter_mut().filter(|files| files.cell.labels.architecture == "lstm") {
        files.cell.labels.model = evil.into();
        files.cell.labels.task = evil.into();
        files.cell.id = format!("{evil}{}", files.cell.id);
        files.cell.experiment = evil.into();
        files.cell.provenance.processor = evil.into();
    }
    let mut decision = decision(Outcome::Supported, &[evil]);
    decision.source = format!("https://example.org/{evil}");
    decision.claim = evil.into();
    decision.sides[0].name = evil.into();
    let page = Page {
        title: evil.into(),
        chapters: vec![Chapter {
            folder: evil.into(),
            question: evil.into(),
            experiment_toml: Some(format!("{evil}</code></pre>")),
            ..chapter(evil, &cells)
        }],
        decisions: vec![decision],
        methods: vec![evil.into()],
        ..Page::default()
    };
    let document = Html::parse_document(&html(&page));
    assert_eq!(document.errors, Vec::<std::borrow::Cow<'static, str>>::new());
    assert_eq!(all(&document, "script").len(), 1, "the page's own");
    assert!(
        all(&document, "body *")
            .iter()
            .all(|own| own.value().attrs().all(|(name, _)| !name.starts_with("on")))
    );
    assert_eq!(text(all(&document, "h1")[0]), evil);
}

#[test]
fn the_same_results_give_the_same_bytes_in_any_order() {
    let (sweep, languages) = (sweep(), languages());
    let first = html(&page(&sweep, &languages));
    assert_eq!(first, html(&page(&sweep, &languages)));
    let turned: Vec<CellFiles> = sweep.iter().rev().cloned().collect();
    assert_eq!(first, html(&page(&turned, &languages)));
}

#[test]
fn an_empty_page_is_a_page() {
    let document = Html::parse_document(&html(&Page { title: "Nothing".into(), ..Page::default() }));
    assert_eq!(document.errors, Vec::<std::borrow::Cow<'static, str>>::new());
    assert_eq!(all(&document, "h1").len(), 1);
    assert_eq!((all(&document, "#claims").len(), all(&document, "figure").len()), (0, 0));
}
