//! stub
use bytes::Bytes;
/// stub
#[derive(Debug)]
pub struct Document {
    /// stub
    pub text: String,
}
impl Document {
    /// stub
    pub fn new(value: Bytes) -> Self {
        Self {
            text: String::from_utf8_lossy(&value).into_owned(),
        }
    }
}
/// stub
#[derive(Debug, Clone, Default)]
pub struct Masks;
