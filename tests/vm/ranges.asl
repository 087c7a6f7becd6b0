// SPDX-License-Identifier: GPL-2.0
//
// A memory device such as QEMU has none: several ranges, some of them adjacent, and
// some that can't be used. Or, with RAM defined, one range that becomes System RAM, and one
// that is claimed. See ranges.t.
DefinitionBlock ("", "SSDT", 2, "KARRAY", "RANGES", 1)
{
    Device (\_SB.KAR0)
    {
        Name (_HID, EisaId ("PNP0C80"))
        Name (_UID, 0x4B41)
        Name (_STA, 0x0F)
        Name (_CRS, ResourceTemplate ()
        {
            // 64 MiB, and 64 MiB that follow
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x50000000, 0x53FFFFFF, 0, 0x04000000)
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x54000000, 0x57FFFFFF, 0, 0x04000000)
#ifdef RAM
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x70000000, 0x700007FF, 0, 0x00000800)
#else
            // 32 MiB elsewhere
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x60000000, 0x61FFFFFF, 0, 0x02000000)
            // the kernel's own memory
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x10000000, 0x10FFFFFF, 0, 0x01000000)
            // not a whole number of pages
            QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable,
                ReadWrite, 0, 0x68000800, 0x680017FF, 0, 0x00001000)
#endif
        })
    }
}
