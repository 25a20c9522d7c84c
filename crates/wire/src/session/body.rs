//! Requests and replies as bodies. A body that begins with `{` is one JSON message; any other is a packed batch.
use crate::batch::{decode_batch, encode_batch};
use crate::error::Error;
use crate::limits::Limits;
use crate::message::{Digests, DigestsReply, Hello, Message, Pull, PushAck, Refusal, kind_of};
use crate::session::{Reply, Request};

impl Request {
    /// Its name, as in the path of its route.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Hello(_) => Hello::KIND,
            Request::Pull(_) => Pull::KIND,
            Request::Push(_) => "push",
            Request::Digests(_) => Digests::KIND,
        }
    }

    /// As it travels. May be larger than a message ([`crate::parts`]).
    pub fn encode(&self, limits: &Limits) -> Result<Vec<u8>, Error> {
        match self {
            Request::Hello(m) => Ok(m.to_json()),
            Request::Pull(m) => Ok(m.to_json()),
            Request::Push(batch) => Ok(encode_batch(batch, limits)?.bytes),
            Request::Digests(m) => Ok(m.to_json()),
        }
    }

    /// Reads a request.
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Request, Error> {
        if body.first() != Some(&b'{') {
            return Ok(Request::Push(Box::new(decode_batch(body, limits)?)));
        }
        let kind = kind_of(body, limits)?;
        match kind.as_str() {
            Pull::KIND => Ok(Request::Pull(Pull::from_json(body, limits)?)),
            Digests::KIND => Ok(Request::Digests(Digests::from_json(body, limits)?)),
            // Any other is named in the error as not being this.
            _ => Ok(Request::Hello(Hello::from_json(body, limits)?)),
        }
    }
}

impl Reply {
    /// As it travels. May be larger than a message ([`crate::parts`]).
    pub fn encode(&self, limits: &Limits) -> Result<Vec<u8>, Error> {
        match self {
            Reply::Hello(m) => Ok(m.to_json()),
            Reply::Batch(batch) => Ok(encode_batch(batch, limits)?.bytes),
            Reply::PushAck(m) => Ok(m.to_json()),
            Reply::Digests(m) => Ok(m.to_json()),
            Reply::Refused(m) => Ok(m.to_json()),
        }
    }

    /// Reads a reply.
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Reply, Error> {
        if body.first() != Some(&b'{') {
            return Ok(Reply::Batch(Box::new(decode_batch(body, limits)?)));
        }
        let kind = kind_of(body, limits)?;
        match kind.as_str() {
            Hello::KIND => Ok(Reply::Hello(Hello::from_json(body, limits)?)),
            PushAck::KIND => Ok(Reply::PushAck(PushAck::from_json(body, limits)?)),
            DigestsReply::KIND => Ok(Reply::Digests(DigestsReply::from_json(body, limits)?)),
            // Any other is named in the error as not being this.
            _ => Ok(Reply::Refused(Refusal::from_json(body, limits)?)),
        }
    }
}
