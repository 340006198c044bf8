//! JSON of which a reader sees the outline and a disk not much else: the outer two levels a key a line, what is deeper
//! without white space.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Levels of objects whose keys stand on lines of their own.
const OUTLINE: usize = 2;

/// A value as text, with a line end.
pub(crate) fn to_json<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Outline::default()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[derive(Default)]
struct Outline {
    /// Objects and arrays that are open.
    depth: usize,
    /// Whether the object that ends has keys.
    filled: bool,
}

impl Outline {
    fn line<W: Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        if self.depth > OUTLINE {
            return Ok(());
        }
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b" "))
    }
}

impl Formatter for Outline {
    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        // Objects within an array are never on lines of their own.
        self.depth += OUTLINE;
        writer.write_all(b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= OUTLINE;
        self.filled = true;
        writer.write_all(b"]")
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        writer.write_all(b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.filled && self.depth < OUTLINE {
            self.line(writer)?;
        }
        self.filled = true;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.depth <= OUTLINE { b": " } else { b":" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_outline_stands_on_lines_and_the_rest_does_not() {
        let value = json!({
            "a": 1.5,
            "b": {"c": {"d": [1, {"e": null}], "f": "x y"}, "g": {}},
            "h": [{"i": [], "j": {"k": 1}}],
            "l": {},
        });
        let text = String::from_utf8(to_json(&value).unwrap()).unwrap();
        let expected = r#"{
 "a": 1.5,
 "b": {
  "c": {"d":[1,{"e":null}],"f":"x y"},
  "g": {}
 },
 "h": [{"i":[],"j":{"k":1}}],
 "l": {}
}
"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert_eq!(to_json(&json!(["a", 1])).unwrap(), b"[\"a\",1]\n");
    }
}
