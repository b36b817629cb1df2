//! The world in which both interpreters run: memory by regions, and helpers.

use crate::ir::helpers;

/// What the entry gets in `r1`.
pub(super) const CONTEXT: u64 = 0x7777_0000_0000;
/// What a map looks like to a program.
pub(super) const MAP: u64 = 0x3333_0000_0000_0000;
/// What a function's address looks like.
pub(super) const FUNCTION: u64 = 0x4444_0000_0000_0000;
/// The number of the site.
pub(super) const SITE: u64 = 0x55;
/// Bytes of the data section.
pub(super) const GLOBALS: usize = 256;

/// Memory; an address is a region's number plus one in the upper half and an offset in the
/// lower. Region 0 is the data section.
pub(super) struct Memory {
    pub(super) regions: Vec<Vec<u8>>,
}

impl Memory {
    pub(super) fn add(&mut self, size: usize) -> u64 {
        // Nothing may depend on what is in fresh memory.
        let junk = u8::try_from(self.regions.len() * 37 % 251).expect("below 251");
        self.regions.push(vec![junk; size]);
        (self.regions.len() as u64) << 32
    }

    fn at(&mut self, address: u64, size: usize) -> &mut [u8] {
        let region = usize::try_from((address >> 32).wrapping_sub(1)).expect("64 bits");
        let offset = usize::try_from(address & 0xffff_ffff).expect("64 bits");
        let bytes = self.regions.get_mut(region);
        let bytes = bytes.unwrap_or_else(|| panic!("no memory at {address:#x}"));
        let range = bytes.get_mut(offset..offset + size);
        range.unwrap_or_else(|| panic!("outside memory: {size} bytes at {address:#x}"))
    }

    pub(super) fn read(&mut self, address: u64, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(self.at(address, size));
        u64::from_le_bytes(bytes)
    }

    pub(super) fn write(&mut self, address: u64, size: usize, value: u64) {
        let bytes = value.to_le_bytes();
        self.at(address, size).copy_from_slice(&bytes[..size]);
    }
}

/// Memory, what helpers were told, and what they will say.
pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) log: Vec<u64>,
    state: u64,
    /// Guards against programs that do not end.
    pub(super) fuel: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let mut memory = Memory {
            regions: Vec::new(),
        };
        memory.add(GLOBALS);
        World {
            memory,
            log: Vec::new(),
            state: 1,
            fuel: 20_000_000,
        }
    }

    /// A stand-in for a helper: it reads what the real one reads, writes what it writes, and
    /// notes its arguments.
    pub(super) fn call(&mut self, number: u32, args: [u64; 5]) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(u64::from(number));
        self.log.push(u64::from(number));
        let size = |n: u64| usize::try_from(n).expect("a size");
        if number == helpers::MAP_UPDATE_ELEM.number {
            let (key, value) = (self.memory.read(args[1], 8), self.memory.read(args[2], 8));
            self.log.extend([args[0], key, value, args[3]]);
        } else if number == helpers::PROBE_READ_KERNEL.number {
            for i in 0..size(args[1]) {
                let byte = (self.state >> 24).wrapping_add(i as u64) & 0xff;
                self.memory.write(args[0] + i as u64, 1, byte);
            }
            self.log.extend([args[1], args[2]]);
        } else if number == helpers::TRACE_PRINTK.number {
            self.log.extend(args);
        } else if number == helpers::MAP_LOOKUP_PERCPU_ELEM.number {
            self.log
                .extend([args[0], self.memory.read(args[1], 8), args[2]]);
        }
        self.state >> 16
    }
}
