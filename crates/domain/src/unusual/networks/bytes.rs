//! The networks of a client as bytes, so that a restart does not make all of them new, and back: how many there are, the
//! count of requests, then each network with its minutes.

use super::super::bytes::{ForeignBytes, at, since};
use super::super::pack::{Reader, Writer};
use super::{Known, Network, Networks};

impl Networks {
    pub(in super::super) fn write(&self, writer: &mut Writer) {
        writer.count(u32::try_from(self.count()).unwrap_or(u32::MAX));
        writer.count(self.uses);
        for Known { network, since: first, last } in self.known.iter().flatten() {
            match network {
                Network::V4(start) => {
                    writer.0.push(4);
                    writer.0.extend(start);
                }
                Network::V6(start) => {
                    writer.0.push(6);
                    writer.0.extend(start);
                }
            }
            writer.count(*last);
            writer.count(since(*last, *first));
        }
    }

    pub(in super::super) fn read(reader: &mut Reader<'_>) -> Result<Self, ForeignBytes> {
        let count = usize::try_from(reader.count()?).map_err(|_| ForeignBytes)?;
        let mut networks = Self { uses: reader.count()?, ..Self::default() };
        for place in networks.known.get_mut(..count).ok_or(ForeignBytes)? {
            let network = match reader.take()? {
                [4] => Network::V4(reader.take()?),
                [6] => Network::V6(reader.take()?),
                _ => return Err(ForeignBytes),
            };
            let last = reader.count()?;
            *place = Some(Known { network, since: at(last, reader.count()?), last });
        }
        Ok(networks)
    }
}
