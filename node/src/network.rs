//! placeholder
pub struct Network;
pub struct Frames;
impl Frames {
    pub async fn send(&mut self, _: &[u8]) -> Result<(), ()> {
        Ok(())
    }
    pub async fn recv(&mut self, _: usize) -> Result<Option<Vec<u8>>, ()> {
        Ok(None)
    }
    pub async fn finish(&mut self) -> Result<(), ()> {
        Ok(())
    }
}
