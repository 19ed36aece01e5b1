// SPDX-License-Identifier: GPL-2.0
/*
 * White box: what programs cannot see or provoke from outside.
 */

#include "../mmapdev.h"

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include "../compat.h"

static int object_setup(struct kunit *test)
{
	struct inode *inode = mmapdev_object_create();

	KUNIT_ASSERT_FALSE(test, IS_ERR(inode));
	test->priv = inode;
	return 0;
}

static void object_teardown(struct kunit *test)
{
	if (test->priv)
		iput(test->priv);
}

/* A fresh object has no pages, no end, and nothing that reclaim could take. */
static void object_is_born_empty(struct kunit *test)
{
	struct inode *inode = test->priv;

	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, i_size_read(inode), inode->i_sb->s_maxbytes);
	KUNIT_EXPECT_TRUE(test, offset_in_page(inode->i_sb->s_maxbytes) == 0);
	KUNIT_EXPECT_TRUE(test, mapping_unevictable(inode->i_mapping));
}

/* Every page goes back to the limit when the object dies. */
static void object_death_gives_its_pages_back(struct kunit *test)
{
	struct inode *inode = test->priv;
	unsigned long used = mmapdev_limit_used();
	pgoff_t index;

	for (index = 0; index < 40; index += 2) {
		struct folio *folio = mmapdev_folio_get(inode, index,
							GFP_KERNEL);

		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		folio_unlock(folio);
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 20);
	iput(inode);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
}

/* Sizes that no object can have are refused, and change nothing. */
static void resize_refuses_what_is_too_large(struct kunit *test)
{
	struct inode *inode = test->priv;

	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, 5000, NULL), 0);
	KUNIT_EXPECT_EQ(test, mmapdev_resize(inode, MAX_LFS_FILESIZE, NULL),
			-EFBIG);
	KUNIT_EXPECT_EQ(test, i_size_read(inode), 5000);
	KUNIT_EXPECT_EQ(test, mmapdev_resize(inode, inode->i_sb->s_maxbytes,
					     NULL), 0);
}

static struct kunit_case object_cases[] = {
	KUNIT_CASE(object_is_born_empty),
	KUNIT_CASE(object_death_gives_its_pages_back),
	KUNIT_CASE(resize_refuses_what_is_too_large),
	{}
};

static struct kunit_suite object_suite = {
	.name		= "mmapdev_object",
	.init		= object_setup,
	.exit		= object_teardown,
	.test_cases	= object_cases,
};

/* What the fault handler hands out: zeroed, dirty, uptodate, locked, held. */
static void folio_is_made_of_zeros(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct folio *folio = mmapdev_folio_get(inode, 12345, GFP_KERNEL);
	void *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	bytes = kmap_local_folio(folio, 0);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(bytes, 0, PAGE_SIZE), NULL);
	kunmap_local(bytes);
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	/* A clean folio could be dropped, and come back as zeros. */
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	KUNIT_EXPECT_EQ(test, folio->index, 12345);
	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, inode->i_mapping);
	folio_unlock(folio);
	folio_put(folio);
}

/* The second to come finds the folio of the first. */
static void folio_is_made_once(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct folio *first = mmapdev_folio_get(inode, 3, GFP_KERNEL);
	struct folio *second;

	KUNIT_ASSERT_FALSE(test, IS_ERR(first));
	folio_unlock(first);
	second = mmapdev_folio_get(inode, 3, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, first, second);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 1);
	folio_unlock(second);
	folio_put(second);
	folio_put(first);
}

/* Getting a folio and putting it leaves no reference behind. */
static void folio_get_takes_one_reference(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct folio *folio = mmapdev_folio_get(inode, 3, GFP_KERNEL);
	int refs;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	refs = folio_ref_count(folio);
	folio_unlock(folio);
	KUNIT_EXPECT_PTR_EQ(test, mmapdev_folio_get(inode, 3, GFP_KERNEL),
			    folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs + 1);
	folio_unlock(folio);
	folio_put(folio);
	folio_put(folio);
}

/* Looking does not make. */
static void folio_find_leaves_a_hole(struct kunit *test)
{
	struct inode *inode = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, mmapdev_folio_find(inode->i_mapping, 3), NULL);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
}

/* Over the limit nothing is made and nothing stays charged. */
static void folio_over_the_limit_is_refused(struct kunit *test)
{
	struct inode *inode = test->priv;
	unsigned long used = mmapdev_limit_used();
	unsigned long limit = mmapdev_limit_bytes;
	struct folio *folio;

	mmapdev_limit_bytes = max(used, 1UL) << PAGE_SHIFT;
	if (!used)
		KUNIT_ASSERT_EQ(test, mmapdev_limit_charge(1, GFP_KERNEL), 0);
	folio = mmapdev_folio_get(inode, 0, GFP_KERNEL);
	mmapdev_limit_bytes = limit;
	if (!used)
		mmapdev_limit_uncharge(1);
	KUNIT_EXPECT_PTR_EQ(test, folio, ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
}

static struct kunit_case folio_cases[] = {
	KUNIT_CASE(folio_is_made_of_zeros),
	KUNIT_CASE(folio_is_made_once),
	KUNIT_CASE(folio_get_takes_one_reference),
	KUNIT_CASE(folio_find_leaves_a_hole),
	KUNIT_CASE(folio_over_the_limit_is_refused),
	{}
};

static struct kunit_suite folio_suite = {
	.name		= "mmapdev_folio",
	.init		= object_setup,
	.exit		= object_teardown,
	.test_cases	= folio_cases,
};

static void limit_counts_to_the_page(struct kunit *test)
{
	unsigned long used = mmapdev_limit_used();
	unsigned long limit = mmapdev_limit_bytes;
	int last;
	int over;

	mmapdev_limit_bytes = (used + 3) << PAGE_SHIFT;
	last = mmapdev_limit_charge(3, GFP_KERNEL);
	over = mmapdev_limit_charge(1, GFP_KERNEL);
	mmapdev_limit_bytes = limit;
	KUNIT_EXPECT_EQ(test, last, 0);
	KUNIT_EXPECT_EQ(test, over, -ENOSPC);
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 3);
	mmapdev_limit_uncharge(3);
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
}

/* Part of a page is no page. */
static void limit_rounds_down(struct kunit *test)
{
	unsigned long used = mmapdev_limit_used();
	unsigned long limit = mmapdev_limit_bytes;
	int err;

	mmapdev_limit_bytes = ((used + 1) << PAGE_SHIFT) - 1;
	err = mmapdev_limit_charge(1, GFP_KERNEL);
	mmapdev_limit_bytes = limit;
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
}

static void limit_of_zero_is_none(struct kunit *test)
{
	unsigned long limit = mmapdev_limit_bytes;
	int err;

	mmapdev_limit_bytes = 0;
	err = mmapdev_limit_charge(1UL << 30, GFP_KERNEL);
	mmapdev_limit_bytes = limit;
	KUNIT_ASSERT_EQ(test, err, 0);
	mmapdev_limit_uncharge(1UL << 30);
}

static struct kunit_case limit_cases[] = {
	KUNIT_CASE(limit_counts_to_the_page),
	KUNIT_CASE(limit_rounds_down),
	KUNIT_CASE(limit_of_zero_is_none),
	{}
};

static struct kunit_suite limit_suite = {
	.name		= "mmapdev_limit",
	.test_cases	= limit_cases,
};

static void hole_page_is_zero_locked_and_held(struct kunit *test)
{
	struct page *page = mmapdev_hole_get();
	void *bytes = kmap_local_page(page);

	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(bytes, 0, PAGE_SIZE), NULL);
	kunmap_local(bytes);
	KUNIT_EXPECT_TRUE(test, PageLocked(page));
	KUNIT_EXPECT_EQ(test, page_count(page), 2);
	KUNIT_EXPECT_PTR_EQ(test, page->mapping, NULL);
	unlock_page(page);
	put_page(page);
}

struct drainer {
	struct completion done;
};

static int drain(void *arg)
{
	struct drainer *drainer = arg;

	mmapdev_hole_drain();
	complete(&drainer->done);
	return 0;
}

/* A truncation must wait for a private write that is still being mapped. */
static void hole_drain_waits_for_the_copy(struct kunit *test)
{
	struct page *page = mmapdev_hole_get();
	struct drainer drainer;
	struct task_struct *task;

	init_completion(&drainer.done);
	task = kthread_run(drain, &drainer, "mmapdev_drain");
	if (IS_ERR(task)) {
		unlock_page(page);
		put_page(page);
		KUNIT_FAIL(test, "no thread");
		return;
	}
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&drainer.done, HZ / 5),
			0);
	unlock_page(page);
	put_page(page);
	wait_for_completion(&drainer.done);
}

static struct kunit_case hole_cases[] = {
	KUNIT_CASE(hole_page_is_zero_locked_and_held),
	KUNIT_CASE(hole_drain_waits_for_the_copy),
	{}
};

static struct kunit_suite hole_suite = {
	.name		= "mmapdev_hole",
	.test_cases	= hole_cases,
};

kunit_test_suites(&object_suite, &folio_suite, &limit_suite, &hole_suite);

MODULE_DESCRIPTION("KUnit suites of mmapdev");
MODULE_LICENSE("GPL");
MMAPDEV_IMPORT_KUNIT_NS;
