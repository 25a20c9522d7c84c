//! The messages by which two nodes find the rows that differ: sums over ranges of a table, the births of a range, and what
//! single rows say.
//!
//! Always true here: as for every message. A reply says for which columns it was counted, and what the table had
//! received by then, so that nothing is compared that is not alike.
use crate::batch::alias_name;
use crate::hex::Hex;
use crate::limits::Limits;
use crate::message::{bound, message, no_twins};
use crate::{Error, batch::alias_kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lockstep_engine::compare::{Cell, ColumnState, FAN_OUT, Part, Range, RangeSum, RowState};
use lockstep_engine::id::{Dot, ReplicaId, Seq, Vector};
use lockstep_engine::value::Value;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A range by its name: up to four lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeName(pub Range);

impl Serialize for RangeName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RangeName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<RangeName, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(d)?;
        name.parse().map(RangeName).map_err(D::Error::custom)
    }
}

/// A dot as `["replica",seq]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DotName(ReplicaId, Seq);

impl From<Dot> for DotName {
    fn from(d: Dot) -> DotName {
        DotName(d.replica, d.seq)
    }
}

impl From<DotName> for Dot {
    fn from(d: DotName) -> Dot {
        Dot { replica: d.0, seq: d.1 }
    }
}

message! {
    /// Asks for the sums over the parts of some ranges of a table.
    "ranges" Ranges {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// None of them of four digits.
        ranges: Vec<RangeName>,
    }
    check(ask, limits) {
        check_place(&ask.database, &ask.table, limits)?;
        bound("the list of ranges", ask.ranges.len(), limits.ranges)?;
        if ask.ranges.iter().any(|r| r.0.is_finest()) {
            return Err(Error::Field { reason: "a range of four digits has no parts" });
        }
    }
}

message! {
    /// The sums over the parts of ranges.
    "ranges_reply" RangesReply {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// Columns that count in nothing, ascending.
        without: Vec<String>,
        /// What the table had received.
        #[serde(with = "crate::vector::one")]
        vector: Vector,
        /// Those asked for.
        ranges: Vec<RangeParts>,
    }
    check(reply, limits) {
        check_place(&reply.database, &reply.table, limits)?;
        check_told(&reply.without, &reply.vector, limits)?;
        bound("the list of ranges", reply.ranges.len(), limits.ranges)?;
    }
}

/// The sums over the sixteen parts of a range, by the hex digit that is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeParts {
    /// The range.
    pub range: RangeName,
    /// How many births live.
    births: [u64; FAN_OUT],
    /// Their sums.
    sums: [Hex<16>; FAN_OUT],
}

impl RangeParts {
    /// Of what was summed.
    pub fn new(range: Range, parts: &[RangeSum; FAN_OUT]) -> RangeParts {
        RangeParts { range: RangeName(range), births: parts.map(|p| p.births), sums: parts.map(|p| p.hash.into()) }
    }

    /// What was summed.
    pub fn parts(&self) -> [RangeSum; FAN_OUT] {
        std::array::from_fn(|n| RangeSum { births: self.births[n], hash: self.sums[n].into() })
    }
}

message! {
    /// Asks for the births of some ranges of a table.
    "births" Births {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// Which.
        ranges: Vec<RangeName>,
    }
    check(ask, limits) {
        check_place(&ask.database, &ask.table, limits)?;
        bound("the list of ranges", ask.ranges.len(), limits.ranges)?;
    }
}

message! {
    /// The births of ranges.
    "births_reply" BirthsReply {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// Columns that count in nothing, ascending.
        without: Vec<String>,
        /// What the table had received.
        #[serde(with = "crate::vector::one")]
        vector: Vector,
        /// Those that live.
        births: Vec<BirthPart>,
    }
    check(reply, limits) {
        check_place(&reply.database, &reply.table, limits)?;
        check_told(&reply.without, &reply.vector, limits)?;
        bound("the list of births", reply.births.len(), limits.births)?;
        reply.births.iter().try_for_each(|b| check_dot(b.0))?;
    }
}

/// A birth and its part of the table's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthPart(DotName, Hex<16>);

impl From<Part> for BirthPart {
    fn from(p: Part) -> BirthPart {
        BirthPart(p.birth.into(), p.hash.into())
    }
}

impl From<BirthPart> for Part {
    fn from(p: BirthPart) -> Part {
        Part { birth: p.0.into(), hash: p.1.into() }
    }
}

message! {
    /// Asks what some rows say.
    "rows" Rows {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// Which, by the dots of their inserts.
        births: Vec<DotName>,
    }
    check(ask, limits) {
        check_place(&ask.database, &ask.table, limits)?;
        bound("the list of births", ask.births.len(), limits.rows)?;
        ask.births.iter().try_for_each(|b| check_dot(*b))?;
    }
}

message! {
    /// What rows say: the first of those asked for, as many as fit.
    "rows_reply" RowsReply {
        /// Logical name.
        database: String,
        /// Table name.
        table: String,
        /// Columns that count in nothing, ascending.
        without: Vec<String>,
        /// What the table had received.
        #[serde(with = "crate::vector::one")]
        vector: Vector,
        /// How many of those asked for were looked at, from the first.
        looked: u64,
        /// Those of them that are known.
        rows: Vec<RowTold>,
    }
    check(reply, limits) {
        check_place(&reply.database, &reply.table, limits)?;
        check_told(&reply.without, &reply.vector, limits)?;
        bound("the list of rows", reply.rows.len(), limits.rows)?;
        reply.rows.iter().try_for_each(|r| r.check(limits))?;
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowTold {
    birth: DotName,
    key: Option<String>,
    lives: bool,
    dots: Vec<DotName>,
    columns: Vec<ColumnTold>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<(DotName, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTold {
    name: String,
    cells: Vec<CellTold>,
}

/// The longest key that is told; a longer one is left out.
const KEY: usize = 4 << 10;

impl RowTold {
    /// Of a row, its values no longer than so many bytes.
    pub fn new(row: RowState, most: usize) -> RowTold {
        let column = |c: ColumnState| ColumnTold {
            name: c.name,
            cells: c.cells.into_iter().map(|cell| CellTold(cell.shortened(most))).collect(),
        };
        RowTold {
            birth: row.birth.into(),
            key: row.key.filter(|k| k.len() <= KEY),
            lives: row.lives,
            dots: row.dots.into_iter().map(DotName::from).collect(),
            columns: row.columns.into_iter().map(column).collect(),
            aliases: row.aliases.into_iter().map(|(b, kind)| (b.into(), alias_name(kind).to_owned())).collect(),
        }
    }

    /// Bytes that it takes in an answer.
    pub fn weight(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }

    /// The row.
    pub fn row(self) -> RowState {
        let column = |c: ColumnTold| ColumnState { name: c.name, cells: c.cells.into_iter().map(|c| c.0).collect() };
        RowState {
            birth: self.birth.into(),
            key: self.key,
            lives: self.lives,
            dots: self.dots.into_iter().map(Dot::from).collect(),
            columns: self.columns.into_iter().map(column).collect(),
            aliases: self.aliases.into_iter().filter_map(|(b, kind)| Some((b.into(), alias_kind(&kind)?))).collect(),
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), Error> {
        check_dot(self.birth)?;
        bound("a key", self.key.as_ref().map_or(0, String::len), KEY)?;
        // As many writes as columns, and as many aliases as files, if that is how it came about.
        bound("the list of writes", self.dots.len(), limits.items as usize)?;
        bound("the list of aliases", self.aliases.len(), limits.items as usize)?;
        self.dots.iter().try_for_each(|d| check_dot(*d))?;
        self.aliases.iter().try_for_each(|(b, _)| check_dot(*b))?;
        if self.aliases.iter().any(|(_, kind)| alias_kind(kind).is_none()) {
            return Err(Error::Field { reason: "an alias is of no kind that is known" });
        }
        bound("the list of columns", self.columns.len(), limits.columns)?;
        self.columns.iter().try_for_each(|c| bound("a name", c.name.len(), limits.name))?;
        for column in &self.columns {
            bound("the values of a column", column.cells.len(), limits.replicas)?;
            for cell in &column.cells {
                if let Cell::Row(dot) = cell.0 {
                    check_dot(dot.into())?;
                }
            }
        }
        no_twins(self.columns.iter().map(|c| c.name.as_str()), "a column is named twice")
    }
}

fn check_place(database: &str, table: &str, limits: &Limits) -> Result<(), Error> {
    bound("a name", database.len().max(table.len()), limits.name)
}

fn check_told(without: &[String], vector: &Vector, limits: &Limits) -> Result<(), Error> {
    bound("the list of columns", without.len(), limits.columns)?;
    without.iter().try_for_each(|c| bound("a name", c.len(), limits.name))?;
    bound("a version vector", vector.len(), limits.replicas)
}

fn check_dot(dot: DotName) -> Result<(), Error> {
    if (1..=i64::MAX as u64).contains(&dot.1.0) {
        Ok(())
    } else {
        Err(Error::Field { reason: "the number of a write is from 1 to 2^63 - 1" })
    }
}

/// A value, written as in a batch; a reference with the whole id of its replica.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CellTold(Cell);

fn tagged<S: Serializer>(s: S, tag: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => s.serialize_unit(),
            Value::Integer(i) => s.serialize_i64(*i),
            Value::Real(f) if f.is_infinite() => tagged(s, "real", &if *f > 0.0 { "inf" } else { "-inf" }),
            Value::Real(f) => s.serialize_f64(*f),
            Value::Text(t) => match std::str::from_utf8(t) {
                Ok(text) if !text.contains('\0') => s.serialize_str(text),
                Ok(_) | Err(_) => tagged(s, "text", &BASE64.encode(t)),
            },
            Value::Blob(b) => tagged(s, "blob", &BASE64.encode(b)),
        }
    }
}

impl Serialize for CellTold {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Cell::Value(v) => Plain(v).serialize(s),
            Cell::Raw(v) => tagged(s, "raw", &Plain(v)),
            Cell::Row(d) => DotName::from(*d).serialize(s),
            Cell::Large { bytes, sha256 } => tagged(s, "large", &(bytes, Hex(*sha256))),
        }
    }
}

impl<'de> Deserialize<'de> for CellTold {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<CellTold, D::Error> {
        d.deserialize_any(CellVisitor).map(CellTold)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Value(Value::Null))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Cell, E> {
        Ok(Cell::Value(Value::Integer(n)))
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Cell, E> {
        i64::try_from(n).map(|n| Cell::Value(Value::Integer(n))).map_err(|_| E::custom("an integer of 64 bits"))
    }

    fn visit_f64<E>(self, f: f64) -> Result<Cell, E> {
        Ok(Cell::Value(Value::Real(f)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Value(Value::text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        let short = || A::Error::custom("a reference is a replica and a number");
        let replica = seq.next_element()?.ok_or_else(short)?;
        let number = seq.next_element()?.ok_or_else(short)?;
        match seq.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Cell::Row(DotName(replica, number).into())),
            Some(_) => Err(short()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let bytes = |text: String| BASE64.decode(text).map_err(|_| A::Error::custom("no base64"));
        let empty = || A::Error::custom("a value without a tag");
        let cell = match map.next_key::<String>()?.ok_or_else(empty)?.as_str() {
            "real" => match map.next_value::<String>()?.as_str() {
                "inf" => Cell::Value(Value::Real(f64::INFINITY)),
                "-inf" => Cell::Value(Value::Real(f64::NEG_INFINITY)),
                _ => return Err(A::Error::custom("an infinity is `inf` or `-inf`")),
            },
            "text" => Cell::Value(Value::Text(bytes(map.next_value()?)?.into())),
            "blob" => Cell::Value(Value::Blob(bytes(map.next_value()?)?.into())),
            "raw" => match map.next_value::<CellTold>()?.0 {
                Cell::Value(v) => Cell::Raw(v),
                Cell::Raw(_) | Cell::Row(_) | Cell::Large { .. } => {
                    return Err(A::Error::custom("a raw value is a plain one"));
                }
            },
            "large" => {
                let (bytes, Hex(sha256)) = map.next_value()?;
                Cell::Large { bytes, sha256 }
            }
            _ => return Err(A::Error::custom("a tag that is not known")),
        };
        match map.next_key::<serde::de::IgnoredAny>()? {
            None => Ok(cell),
            Some(_) => Err(A::Error::custom("a value with two tags")),
        }
    }
}
