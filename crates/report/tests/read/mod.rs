//! Tables as tests read them.
#![allow(dead_code, clippy::unwrap_used)]

use seqbench_record::CellFiles;
use seqbench_report::table::{Column, Table, Value, tables};

/// The table of that name.
pub(crate) fn named(cells: &[CellFiles], name: &str) -> Table {
    tables(cells).into_iter().find(|table| table.name == name).unwrap()
}

/// Values of one field, down the rows.
pub(crate) fn field(table: &Table, name: &str) -> Vec<Value> {
    let place = |column: &Column| column.fields.iter().position(|field| field == name);
    let (i, j) = table.columns.iter().enumerate().find_map(|(i, c)| Some((i, place(c)?))).unwrap();
    table.rows.iter().map(|row| row[i].values[j].clone()).collect()
}
