"""rows.csv: one row for every program, cell and outer round; the only source of every table and figure."""

import csv
import dataclasses
import os
import pathlib

from suites import Cell

SIZES = [field.name for field in dataclasses.fields(Cell)]
COLUMNS = [
    "suite", "framework", "variant", *SIZES, "round", "order", "inner_rounds",
    "ms_median", "ms_min", "peak_rss_mb", "base_rss_mb", "revision", "err",
]  # fmt: skip
WHOLE = {"T", "batch", "dim", "layers", "vocab", "threads", "processes", "round", "order", "inner_rounds"}
REAL = {"ms_median", "ms_min", "peak_rss_mb", "base_rss_mb"}


def typed(row):
    def value(column, text):
        if column in WHOLE:
            return int(text) if text else None
        if column in REAL:
            return float(text) if text else None
        return text

    return {column: value(column, text) for column, text in row.items()}


def read(path):
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise SystemExit(f"{path}: other columns than this version writes; move it away or give another --out")
        return [typed(row) for row in reader]


def write(path, rows):
    """All rows at once: a reader, or a run that was killed, finds the old file or the new one."""
    path = pathlib.Path(path)
    beside = path.with_suffix(".new")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({column: "" if row.get(column) is None else row[column] for column in COLUMNS})
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def cell_of(row):
    return Cell(**{name: row[name] for name in SIZES})


def replace(rows, cell, fresh):
    """Rows with those of one cell put in the place of whatever was there of it: a cell is compared within one run."""
    return [row for row in rows if cell_of(row) != cell] + fresh
