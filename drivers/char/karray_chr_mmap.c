// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of the char device.
 *
 * The page tables are filled at page faults, with bare page frame numbers: there is no
 * struct page, so nobody can take a reference and keep the memory beyond its end. It
 * isn't said by VM_PFNMAP, though, but by VM_IO and VM_MIXEDMAP: from VM_PFNMAP VFIO
 * concludes that it may use the frames for DMA, and does so when the mapping is long gone.
 *
 * The entries are for small pages, a page table's full at each fault. Huge ones need
 * a struct page, too: mbind(MPOL_MF_STRICT) looks into that of a huge entry without
 * asking whether there is one (v6.1 to v6.12 at least).
 *
 * With the setting dax there are struct pages, and entries for 2 MiB (for 1 GiB not:
 * mremap() takes those for bad ones; and before v6.5 none at all: there MADV_COLD and
 * MADV_PAGEOUT do, and drop them without a word to the CPUs). The kernel can pin such
 * pages, for direct I/O and the like. For shared futexes it wants to know the page's place
 * in a file (page->mapping and index). A file system mounted with dax says so, too: thus
 * we do for mappings that can be written only, whose claim on the disk keeps file systems
 * out, and take it back with the claim.
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
#include <linux/huge_mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
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
 * @dax: does the memory have struct pages?
 *
 * Context: process context, may sleep.
 * Return: the inode, for iput(), or an ERR_PTR().
 */
struct inode *karray_chr_new_inode(bool dax)
{
	struct inode *inode = alloc_anon_inode(karray_chr_mnt->mnt_sb);

	if (!IS_ERR(inode) && dax) {
		/* How the kernel knows device memory with struct pages. */
		inode->i_mode |= S_IFCHR;
		inode->i_flags |= S_DAX;
	}
	return inode;
}

/*
 * Say where in a file pages are. In the read lock, with chr->fault_lock. What a file on DAX
 * has stays its own, or nobody would find its mappings: it may be mounted still, though
 * nobody has the disk (device mapper can let go of it below).
 */
static void karray_chr_name_pages(struct karray_chr *chr, pgoff_t first,
				  unsigned long nr)
{
	unsigned long pfn = PHYS_PFN(chr->kdev->range.start);
	pgoff_t index;

	for (index = first; index < first + nr; index++) {
		struct page *page = pfn_to_page(pfn + index);

		if (karray_page_in_file(page) &&
		    page->mapping != chr->inode->i_mapping)
			continue;
		page->index = index;
		/* Whoever sees the mapping reads the index next. */
		smp_store_release(&page->mapping, chr->inode->i_mapping);
	}
	chr->first_named = min(chr->first_named, first);
	chr->end_named = max(chr->end_named, first + nr);
}

/**
 * karray_chr_forget_names - pages are no longer part of a file
 * @chr: a node that has no writable mappings any more
 * @pinned: those that are pinned, too? Else the first such is where this ends
 *
 * Context: process context, may sleep; with the memory there, or no page that has a
 * name.
 * Return: whether no page has a name any more.
 */
bool karray_chr_forget_names(struct karray_chr *chr, bool pinned)
{
	unsigned long pfn = PHYS_PFN(chr->kdev->range.start);
	pgoff_t index;
	bool all;

	mutex_lock(&chr->fault_lock);
	for (index = chr->first_named; index < chr->end_named; index++) {
		struct page *page = pfn_to_page(pfn + index);

		if (!pinned && karray_page_pinned(page))
			break;
		if (page->mapping == chr->inode->i_mapping) {
			/* Who marks a page dirty follows this with the lock. */
			lock_page(page);
			page->mapping = NULL;
			page->index = 0;
			unlock_page(page);
		}
		cond_resched();
	}
	all = index >= chr->end_named;
	chr->first_named = all ? ULONG_MAX : index;
	if (all)
		chr->end_named = 0;
	mutex_unlock(&chr->fault_lock);
	return all;
}

/**
 * karray_chr_empty - take all memory out of a node's mappings
 * @chr: a node that is not alive any more, which all in the read lock have seen
 *
 * Context: process context, may sleep; with the memory still there.
 */
void karray_chr_empty(struct karray_chr *chr)
{
	unmap_mapping_range(chr->inode->i_mapping, 0, 0, 1);
	karray_chr_forget_names(chr, true);
}

/*
 * The personality's .failed: touching it is SIGBUS from now on. A fault that found the
 * memory good has mapped it before, under the lock.
 *
 * Return: 0 where the page is known to be of our file: then nobody else has it mapped, and
 * it isn't one that the kernel could go by, which doesn't keep such a file from going.
 */
int karray_chr_failed(struct karray_dev *kdev, u64 pos, u64 len, int mf_flags)
{
	struct page *page = pfn_to_page(PHYS_PFN(kdev->range.start + pos));
	struct karray_chr *chr = READ_ONCE(kdev->chr);
	bool ours;

	/* There may be none yet. */
	if (!chr)
		return -EOPNOTSUPP;
	mutex_lock(&chr->fault_lock);
	unmap_mapping_range(chr->inode->i_mapping, pos, len, 1);
	ours = page->mapping == chr->inode->i_mapping;
	mutex_unlock(&chr->fault_lock);
	return ours ? 0 : -EOPNOTSUPP;
}

static pfn_t karray_chr_pfn_t(unsigned long pfn, bool dax)
{
	return phys_to_pfn_t(PFN_PHYS(pfn), PFN_DEV | (dax ? PFN_MAP : 0));
}

/* Pages to map, all by one page table. */
struct karray_chr_pages {
	struct vm_area_struct *vma;
	unsigned long pfn;
	unsigned long nr;
	bool dax;
};

/* With the page table that has the first one's entry locked. */
static int karray_chr_set_ptes(pte_t *pte, unsigned long addr, void *data)
{
	struct karray_chr_pages *pages = data;
	struct mm_struct *mm = pages->vma->vm_mm;
	/* Write-back cached, as memremap() has it. */
	pgprot_t prot = pages->vma->vm_page_prot;
	unsigned long i;

	for (i = 0; i < pages->nr; i++, pte++, addr += PAGE_SIZE) {
		/*
		 * An entry that can't be used (a debugger gets here with PROT_NONE) has
		 * its frame's number inverted: none is to be made out of another one.
		 */
		pte_t entry = pte_mkspecial(pfn_pte(pages->pfn + i, prot));

		if (pages->dax)
			entry = pte_mkdevmap(entry);
		if (pte_none(ptep_get(pte)))
			set_pte_at(mm, addr, pte, entry);
	}
	return 0;
}

/* Pages that are there stay. */
static vm_fault_t karray_chr_insert(struct vm_area_struct *vma,
				    unsigned long addr, unsigned long end,
				    unsigned long pfn, bool dax)
{
	struct karray_chr_pages pages = {
		.vma = vma, .pfn = pfn, .nr = (end - addr) >> PAGE_SHIFT,
		.dax = dax
	};
	vm_fault_t ret = VM_FAULT_NOPAGE;

	/*
	 * vmf_insert_mixed() looks up the cache mode each time, in some 900
	 * instructions; but not everywhere may a module do without.
	 */
	if (IS_ENABLED(CONFIG_X86))
		return apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE,
					   karray_chr_set_ptes, &pages) ?
		       VM_FAULT_OOM : VM_FAULT_NOPAGE;

	for (; addr < end && ret == VM_FAULT_NOPAGE; addr += PAGE_SIZE, pfn++)
		ret = vmf_insert_mixed(vma, addr, karray_chr_pfn_t(pfn, dax));
	return ret;
}

/* Struct pages that are about to be mapped; with chr->fault_lock. */
static void karray_chr_prepare_pages(struct vm_area_struct *vma, u64 pos,
				     u64 len)
{
	struct karray_chr *chr = vma->vm_file->private_data;

	if (unlikely(chr->kdev->pages_failed))
		karray_pages_heal(chr->kdev, pos, len);
	/* This is set where the file is open for writing. */
	if (vma->vm_flags & VM_SHARED)
		karray_chr_name_pages(chr, pos >> PAGE_SHIFT,
				      len >> PAGE_SHIFT);
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
	bool dax = kdev->settings.dax;
	int cookie = karray_read_lock();
	vm_fault_t ret;

	if (dax)
		mutex_lock(&chr->fault_lock);
	if (!karray_chr_alive(chr) || pos >= kdev->range.size) {
		ret = VM_FAULT_SIGBUS;
	} else if (karray_mem_readable(kdev, pos, PAGE_SIZE) < PAGE_SIZE) {
		ret = VM_FAULT_HWPOISON;
	} else if (dax && pmd_leaf(*vmf->pmd)) {
		ret = VM_FAULT_NOPAGE;	/* a huge fault was faster */
	} else {
		if (!(vma->vm_flags & VM_RAND_READ) &&
		    karray_mem_readable(kdev, pos - (addr - around),
					around_end - around) ==
		    around_end - around) {
			pos -= addr - around;
			addr = around;
			end = around_end;
		}
		if (dax)
			karray_chr_prepare_pages(vma, pos, end - addr);
		ret = karray_chr_insert(vma, addr, end,
					PHYS_PFN(kdev->range.start + pos), dax);
	}
	if (dax)
		mutex_unlock(&chr->fault_lock);
	karray_read_unlock(cookie);
	return ret;
}

/* Only with dax. */
static vm_fault_t karray_chr_huge_fault(struct vm_fault *vmf,
					unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct karray_chr *chr = vma->vm_file->private_data;
	struct karray_dev *kdev = chr->kdev;
	unsigned long addr = ALIGN_DOWN(vmf->address, PMD_SIZE);
	u64 pos = ((u64)vmf->pgoff << PAGE_SHIFT) - (vmf->address - addr);
	u64 phys = kdev->range.start + pos;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	int cookie;

	if (!IS_ENABLED(CONFIG_FS_DAX_PMD) || !KARRAY_HUGE_ENTRIES ||
	    !kdev->settings.dax ||
	    order != PMD_SHIFT - PAGE_SHIFT || (vma->vm_flags & VM_RAND_READ) ||
	    addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end ||
	    !IS_ALIGNED(phys, PMD_SIZE))
		return VM_FAULT_FALLBACK;

	cookie = karray_read_lock();
	mutex_lock(&chr->fault_lock);
	/* Not where somebody made a page table while we waited. */
	if (karray_chr_alive(chr) &&
	    (pmd_none(*vmf->pmd) || pmd_leaf(*vmf->pmd)) &&
	    karray_mem_readable(kdev, pos, PMD_SIZE) == PMD_SIZE) {
		karray_chr_prepare_pages(vma, pos, PMD_SIZE);
		ret = vmf_insert_pfn_pmd(vmf, karray_chr_pfn_t(PHYS_PFN(phys), true),
					 vmf->flags & FAULT_FLAG_WRITE);
	}
	mutex_unlock(&chr->fault_lock);
	karray_read_unlock(cookie);
	return ret;
}

KARRAY_HUGE_FAULT(karray_chr_huge_fault)

static const struct vm_operations_struct karray_chr_vm_ops = {
	.fault		= karray_chr_fault,
	.huge_fault	= karray_huge_fault_op(karray_chr_huge_fault),
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
	vm_flags_set(vma, VM_DONTEXPAND);
	/* Nothing more for struct pages: with VM_MIXEDMAP, huge ones look like normal. */
	if (!chr->kdev->settings.dax)
		vm_flags_set(vma, VM_IO | VM_MIXEDMAP | VM_DONTDUMP);
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
