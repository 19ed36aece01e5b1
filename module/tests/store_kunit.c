// SPDX-License-Identifier: GPL-2.0
/*
 * White box: a durable object's pages between memory and image.
 */

#include "../mmapdev.h"

#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "../compat.h"
#include "../pending.h"

#define SIZE	(16 * PAGE_SIZE)

static int durable_setup(struct kunit *test)
{
	struct mmapdev_store *store = mmapdev_memory_store(SIZE);
	struct inode *inode;

	KUNIT_ASSERT_FALSE(test, IS_ERR(store));
	inode = mmapdev_object_create_durable(store);
	if (IS_ERR(inode))
		mmapdev_store_free(store);
	KUNIT_ASSERT_FALSE(test, IS_ERR(inode));
	test->priv = inode;
	return 0;
}

static void durable_teardown(struct kunit *test)
{
	if (test->priv)
		iput(test->priv);
}

static struct mmapdev_store *store_of(struct kunit *test)
{
	return mmapdev_object_of(test->priv)->store;
}

/* Fill a page as a store to memory would, and leave it dirty. */
static void fill(struct kunit *test, pgoff_t index, char c)
{
	struct folio *folio = mmapdev_folio_get(test->priv, index, GFP_KERNEL);
	void *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_EQ(test, mmapdev_folio_dirty(test->priv, folio), 0);
	bytes = kmap_local_folio(folio, 0);
	memset(bytes, c, PAGE_SIZE);
	kunmap_local(bytes);
	folio_unlock(folio);
	folio_put(folio);
}

/* The first byte of a page, as a fault would show it. */
static char byte(struct kunit *test, pgoff_t index)
{
	struct folio *folio = mmapdev_folio_get(test->priv, index, GFP_KERNEL);
	char *bytes;
	char c;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	bytes = kmap_local_folio(folio, 0);
	c = bytes[0];
	kunmap_local(bytes);
	folio_unlock(folio);
	folio_put(folio);
	return c;
}

static void cut(struct kunit *test)
{
	u64 lost;

	KUNIT_EXPECT_EQ(test, mmapdev_crash(test->priv, 0, &lost), 0);
}

/* Reclaim may take what is written back, and what is dirty it may not. */
static void folio_is_clean_until_a_store(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct folio *folio = mmapdev_folio_get(inode, 0, GFP_KERNEL);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));
	KUNIT_EXPECT_FALSE(test, mapping_unevictable(inode->i_mapping));
	KUNIT_EXPECT_FALSE(test, mmapdev_store_differs(store_of(test), 0));
	KUNIT_EXPECT_EQ(test, mmapdev_folio_dirty(inode, folio), 0);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	KUNIT_EXPECT_TRUE(test, mmapdev_store_differs(store_of(test), 0));
	folio_unlock(folio);
	folio_put(folio);
}

/* Written back is not durable. */
static void writeback_alone_does_not_survive(struct kunit *test)
{
	struct inode *inode = test->priv;

	fill(test, 0, 'a');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	KUNIT_EXPECT_TRUE(test, mmapdev_store_has(store_of(test), 0));
	KUNIT_EXPECT_TRUE(test, mmapdev_store_differs(store_of(test), 0));
	cut(test);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store_of(test), 0));
	KUNIT_EXPECT_EQ(test, byte(test, 0), 0);
}

static void flush_takes_the_pages_of_its_range(struct kunit *test)
{
	pgoff_t index;

	for (index = 0; index < 4; index++)
		fill(test, index, 'a');
	/* One byte of page 1, and one of page 2. */
	KUNIT_EXPECT_EQ(test, mmapdev_sync(test->priv, 2 * PAGE_SIZE - 1,
					   2 * PAGE_SIZE), 0);
	cut(test);
	for (index = 0; index < 4; index++)
		KUNIT_EXPECT_EQ(test, byte(test, index),
				index == 1 || index == 2 ? 'a' : 0);
}

/* What was written back stays readable when the page cache has let it go. */
static void reclaimed_page_is_loaded_again(struct kunit *test)
{
	struct inode *inode = test->priv;

	fill(test, 3, 'p');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	invalidate_mapping_pages(inode->i_mapping, 0, -1);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, byte(test, 3), 'p');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	invalidate_mapping_pages(inode->i_mapping, 0, -1);
	KUNIT_EXPECT_EQ(test, byte(test, 3), 'p');
}

/* An old image is replaced, never changed under way. */
static void flush_replaces_the_image(struct kunit *test)
{
	struct inode *inode = test->priv;

	fill(test, 0, 'a');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(test->priv, 0, LLONG_MAX), 0);
	fill(test, 0, 'b');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	cut(test);
	KUNIT_EXPECT_EQ(test, byte(test, 0), 'a');
	fill(test, 0, 'c');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(test->priv, 0, LLONG_MAX), 0);
	cut(test);
	KUNIT_EXPECT_EQ(test, byte(test, 0), 'c');
}

/* A page that is dirty again when it is flushed still has its reservation. */
static void dirty_again_is_still_reserved(struct kunit *test)
{
	struct inode *inode = test->priv;

	fill(test, 0, 'a');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	fill(test, 0, 'b');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	fill(test, 0, 'c');
	KUNIT_EXPECT_EQ(test, mmapdev_store_flush(inode, 0, LLONG_MAX), 0);
	KUNIT_EXPECT_TRUE(test, mmapdev_store_differs(store_of(test), 0));
	KUNIT_EXPECT_EQ(test, byte(test, 0), 'c');
	cut(test);
	KUNIT_EXPECT_EQ(test, byte(test, 0), 'b');
}

/* What was written back does not change: a flush may be at work on it. */
static void written_page_is_replaced_not_changed(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct xarray *pending = &store_of(test)->pending;
	struct page *written;
	char *bytes;

	fill(test, 0, 'a');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	written = mmapdev_store_find_page(pending, 0);
	KUNIT_ASSERT_NOT_NULL(test, written);
	fill(test, 0, 'b');
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait(inode->i_mapping), 0);
	KUNIT_EXPECT_PTR_NE(test, entry_page(xa_load(pending, 0)), written);
	bytes = kmap_local_page(written);
	KUNIT_EXPECT_EQ(test, bytes[0], 'a');
	kunmap_local(bytes);
	put_page(written);	/* as the flush will */
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	KUNIT_EXPECT_PTR_EQ(test, xa_load(pending, 0), NULL);
	cut(test);
	KUNIT_EXPECT_EQ(test, byte(test, 0), 'b');
}

/* Shrinking takes pages away at once, and for good only when it is synced. */
static void shrinking_is_undone_unless_synced(struct kunit *test)
{
	struct inode *inode = test->priv;

	fill(test, 5, 'a');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, PAGE_SIZE, NULL), 0);
	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, SIZE, NULL), 0);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store_of(test), 5));
	KUNIT_EXPECT_EQ(test, byte(test, 5), 0);
	cut(test);
	KUNIT_EXPECT_EQ(test, i_size_read(inode), SIZE);
	KUNIT_EXPECT_EQ(test, byte(test, 5), 'a');
	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, PAGE_SIZE, NULL), 0);
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	cut(test);
	KUNIT_EXPECT_EQ(test, i_size_read(inode), PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store_of(test), 5));
}

/* A hole over which somebody stores again keeps hiding the image. */
static void hole_under_a_reservation_stays_a_hole(struct kunit *test)
{
	struct inode *inode = test->priv;
	struct mmapdev_store *store = store_of(test);

	fill(test, 5, 'a');
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, PAGE_SIZE, NULL), 0);
	KUNIT_ASSERT_EQ(test, mmapdev_resize(inode, SIZE, NULL), 0);
	KUNIT_ASSERT_EQ(test, mmapdev_store_lock(inode), 0);
	filemap_invalidate_lock(inode->i_mapping);
	KUNIT_EXPECT_EQ(test, mmapdev_store_reserve_spare(store, 5, GFP_KERNEL),
			0);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store, 5));
	mmapdev_store_unreserve_spare(store, 5);
	filemap_invalidate_unlock(inode->i_mapping);
	mmapdev_store_unlock(inode);
	KUNIT_EXPECT_EQ(test, byte(test, 5), 0);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store, 5));
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	cut(test);
	KUNIT_EXPECT_FALSE(test, mmapdev_store_has(store, 5));
}

/* Every page of both sides of the store goes back to the limit. */
static void death_gives_the_stores_pages_back(struct kunit *test)
{
	struct inode *inode = test->priv;
	unsigned long used = mmapdev_limit_used();

	fill(test, 0, 'a');
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 1);
	KUNIT_EXPECT_EQ(test, mmapdev_sync(inode, 0, LLONG_MAX), 0);
	fill(test, 0, 'b');
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 2);
	fill(test, 1, 'b');
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 3);
	iput(inode);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
}

/* What was replaced is used again, but not what somebody still reads. */
static void replaced_pages_are_used_again(struct kunit *test)
{
	struct mmapdev_store *store = store_of(test);
	unsigned long used = mmapdev_limit_used();
	struct page *pages[3] = { };
	struct page *page, *read;

	page = mmapdev_store_alloc_page(store, GFP_KERNEL);
	read = mmapdev_store_alloc_page(store, GFP_KERNEL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(page) || IS_ERR(read));
	pages[0] = read;
	pages[2] = page;
	get_page(read);
	mmapdev_recycle_put(store, pages, ARRAY_SIZE(pages));
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
	KUNIT_EXPECT_EQ(test, page_ref_count(read), 1);
	put_page(read);
	KUNIT_EXPECT_PTR_EQ(test, mmapdev_store_alloc_page(store, GFP_KERNEL),
			    page);
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used + 1);
	KUNIT_EXPECT_NULL(test, mmapdev_recycle_get(&store->recycled));
	mmapdev_store_free_page(store, page);
	KUNIT_EXPECT_EQ(test, mmapdev_limit_used(), used);
}

static struct kunit_case durable_cases[] = {
	KUNIT_CASE(folio_is_clean_until_a_store),
	KUNIT_CASE(writeback_alone_does_not_survive),
	KUNIT_CASE(flush_takes_the_pages_of_its_range),
	KUNIT_CASE(reclaimed_page_is_loaded_again),
	KUNIT_CASE(flush_replaces_the_image),
	KUNIT_CASE(dirty_again_is_still_reserved),
	KUNIT_CASE(written_page_is_replaced_not_changed),
	KUNIT_CASE(shrinking_is_undone_unless_synced),
	KUNIT_CASE(hole_under_a_reservation_stays_a_hole),
	KUNIT_CASE(replaced_pages_are_used_again),
	KUNIT_CASE(death_gives_the_stores_pages_back),
	{}
};

static struct kunit_suite durable_suite = {
	.name		= "mmapdev_durable",
	.init		= durable_setup,
	.exit		= durable_teardown,
	.test_cases	= durable_cases,
};

kunit_test_suites(&durable_suite);
