// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of the char device.
 *
 * The page tables are filled at page faults, with bare page frame numbers
 * (VM_PFNMAP): there is no struct page, so nobody can take a reference and keep the
 * memory beyond its end.
 *
 * The entries are for small pages, a page table's full at each fault. Huge ones need
 * a struct page, too: mbind(MPOL_MF_STRICT) looks into that of a huge entry without
 * asking whether there is one (v6.1 to v6.12 at least), and mremap() takes an entry
 * of 1 GiB for a bad one.
 *
 * Revocation: all files of a node have the address space of one inode, on a pseudo
 * file system that is mounted nowhere, and so unmap_mapping_range() finds all
 * mappings. When the memory goes, its state changes first, then all faults that may
 * not have seen that come to their end (synchronize_srcu()), and then the mappings
 * are emptied. Later faults see the state, and get SIGBUS.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>

#include "karray_chr.h"
#include "karray_compat.h"
#include <trace/events/karray.h>

#define KARRAY_CHR_FS_MAGIC	0x6b617272	/* "karr" */

static struct vfsmount *karray_chr_mnt;

static int karray_chr_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, KARRAY_CHR_FS_MAGIC) ? 0 : -ENOMEM;
}

/* Without an owner, since it is the module itself that has it mounted. */
static struct file_system_type karray_chr_fs = {
	.name			= "karray",
	.init_fs_context	= karray_chr_fs_context,
	.kill_sb		= kill_anon_super,
};

int karray_chr_mmap_init(void)
{
	karray_chr_mnt = kern_mount(&karray_chr_fs);
	return PTR_ERR_OR_ZERO(karray_chr_mnt);
}

void karray_chr_mmap_exit(void)
{
	kern_unmount(karray_chr_mnt);
}

/**
 * karray_chr_new_inode - an inode for the address space of a node's files
 *
 * Context: process context, may sleep.
 * Return: the inode, for iput(), or an ERR_PTR().
 */
struct inode *karray_chr_new_inode(void)
{
	return alloc_anon_inode(karray_chr_mnt->mnt_sb);
}

/**
 * karray_chr_revoke - take the memory out of all mappings
 * @chr: a node that is not alive any more, for those in the read lock neither
 *
 * Context: process context, may sleep.
 */
void karray_chr_revoke(struct karray_chr *chr)
{
	unmap_mapping_range(chr->inode->i_mapping, 0, 0, 1);
}

/* Pages to map, all by one page table. */
struct karray_chr_pages {
	struct vm_area_struct *vma;
	unsigned long pfn;
	unsigned long nr;
};

/* With the page table that has the first one's entry locked. */
static int karray_chr_set_ptes(pte_t *pte, unsigned long addr, void *data)
{
	struct karray_chr_pages *pages = data;
	struct mm_struct *mm = pages->vma->vm_mm;
	/* Write-back cached, as memremap() has it. */
	pte_t entry = pte_mkspecial(pfn_pte(pages->pfn,
					    pages->vma->vm_page_prot));
	pte_t *end = pte + pages->nr;

	for (; pte < end; pte++, addr += PAGE_SIZE) {
		if (pte_none(ptep_get(pte)))
			set_pte_at(mm, addr, pte, entry);
		/* The next frame's: on x86, for entries that are present. */
		entry = __pte(pte_val(entry) + PAGE_SIZE);
	}
	return 0;
}

/* Pages that are there stay. */
static vm_fault_t karray_chr_insert(struct vm_area_struct *vma,
				    unsigned long addr, unsigned long end,
				    unsigned long pfn)
{
	struct karray_chr_pages pages = {
		.vma = vma, .pfn = pfn, .nr = (end - addr) >> PAGE_SHIFT
	};
	vm_fault_t ret = VM_FAULT_NOPAGE;

	/*
	 * vmf_insert_pfn() looks up the cache mode each time, in some 900
	 * instructions; but not everywhere may a module do without.
	 */
	if (IS_ENABLED(CONFIG_X86))
		return apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE,
					   karray_chr_set_ptes, &pages) ?
		       VM_FAULT_OOM : VM_FAULT_NOPAGE;

	for (; addr < end && ret == VM_FAULT_NOPAGE; addr += PAGE_SIZE)
		ret = vmf_insert_pfn(vma, addr, pfn++);
	return ret;
}

/*
 * A fault maps all of a page table's pages at once, 2 MiB, unless the program said
 * that it jumps about (MADV_RANDOM). With bad memory among them it maps its page.
 */
static vm_fault_t karray_chr_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct karray_chr *chr = vma->vm_file->private_data;
	struct karray_dev *kdev = chr->kdev;
	unsigned long addr = vmf->address;
	unsigned long end = addr + PAGE_SIZE;
	unsigned long around = max(ALIGN_DOWN(addr, PMD_SIZE), vma->vm_start);
	unsigned long around_end = min(ALIGN(end, PMD_SIZE), vma->vm_end);
	u64 pos = (u64)vmf->pgoff << PAGE_SHIFT;
	int cookie = karray_read_lock();
	vm_fault_t ret;

	if (!karray_chr_alive(chr) || pos >= kdev->range.size) {
		ret = VM_FAULT_SIGBUS;
	} else if (karray_mem_readable(kdev, pos, PAGE_SIZE) < PAGE_SIZE) {
		ret = VM_FAULT_HWPOISON;
	} else {
		if (!(vma->vm_flags & VM_RAND_READ) &&
		    karray_mem_readable(kdev, pos - (addr - around),
					around_end - around) ==
		    around_end - around) {
			pos -= addr - around;
			addr = around;
			end = around_end;
		}
		ret = karray_chr_insert(vma, addr, end,
					PHYS_PFN(kdev->range.start + pos));
	}
	karray_read_unlock(cookie);
	return ret;
}

static const struct vm_operations_struct karray_chr_vm_ops = {
	.fault		= karray_chr_fault,
};

static int karray_chr_do_mmap(struct karray_chr *chr,
			      struct vm_area_struct *vma, u64 pos, u64 len)
{
	u64 pages = chr->kdev->range.size >> PAGE_SHIFT;
	bool shared = vma->vm_flags & VM_MAYSHARE;
	int ret;

	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	/* There is no copy on write of what has no struct page. */
	if (!shared && (vma->vm_flags & VM_WRITE))
		return -EINVAL;

	/* From now on the kernel doesn't see what is read and written. */
	ret = karray_chr_flush(chr, pos, len, vma->vm_flags & VM_SHARED);
	if (ret)
		return ret;

	if (!shared)
		vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	/* Not encrypted by the CPU, as memremap() has it. */
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_ops = &karray_chr_vm_ops;
	return 0;
}

int karray_chr_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct karray_chr *chr = file->private_data;
	u64 pos = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;
	int ret = karray_chr_do_mmap(chr, vma, pos, len);

	/* VM_SHARED means that it may become writable at least. */
	trace_karray_mmap(chr->kdev, pos, len, vma->vm_flags & VM_SHARED, ret);
	return ret;
}
