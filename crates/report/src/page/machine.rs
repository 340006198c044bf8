//! What made the cells: builds and machines, each once. Provenance holds no host name, user or path.

use super::Told;
use maud::{Markup, html};
use seqbench_record::Provenance;

pub(super) fn section(told: &[Told<'_>]) -> Markup {
    let mut made: Vec<(&Provenance, Vec<&str>)> = Vec::new();
    for told in told {
        for own in &told.summary.provenances {
            match made.iter_mut().find(|(known, _)| *known == own) {
                Some((_, names)) => names.push(&told.chapter.name),
                None => made.push((own, vec![&told.chapter.name])),
            }
        }
    }
    html! {
        section id="machine" aria-labelledby="machine-name" {
            h2 id="machine-name" { "Machine and revision" }
            @if made.is_empty() { p { "No cell says what made it." } } @else {
                div class="scroll" role="group" aria-labelledby="machine-caption" tabindex="0" {
                    table {
                        caption id="machine-caption" { "What made the cells" }
                        thead {
                            tr {
                                @for name in ["experiments", "seqbench", "revision", "compiler", "kernels", "threads", "processor", "system"] {
                                    th scope="col" { (name) }
                                }
                            }
                        }
                        tbody {
                            @for (own, names) in &made {
                                tr {
                                    th scope="row" { (names.join(", ")) }
                                    td { (own.version) }
                                    td { code { (own.revision) } }
                                    td { (own.compiler) }
                                    td { (own.isa) }
                                    td class="number" { (own.threads) }
                                    td { (own.processor) }
                                    td { (own.system) }
                                }
                            }
                        }
                    }
                }
                p class="small" {
                    "A revision that ends in “-dirty” had changes that were in no commit. The same configuration, program and "
                    "instruction set give the same scores, bit for bit; times are measured and differ from run to run."
                }
            }
        }
    }
}
