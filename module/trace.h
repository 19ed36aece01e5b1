/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events: /sys/kernel/tracing/events/mmapdev.
 *
 * object is the number that MMAPDEV_IOC_GET_INFO gives; index is in pages.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mmapdev

#if !defined(_MMAPDEV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MMAPDEV_TRACE_H

#include <linux/falloc.h>
#include <linux/mm.h>
#include <linux/tracepoint.h>

#include "mmapdev.h"

TRACE_DEFINE_ENUM(MMAPDEV_FAULT_SHARED_READ);
TRACE_DEFINE_ENUM(MMAPDEV_FAULT_SHARED_WRITE);
TRACE_DEFINE_ENUM(MMAPDEV_FAULT_PRIVATE_READ);
TRACE_DEFINE_ENUM(MMAPDEV_FAULT_COW_SOURCE);

#define show_fault_kind(kind)						\
	__print_symbolic(kind,						\
			 { MMAPDEV_FAULT_SHARED_READ, "shared_read" },	\
			 { MMAPDEV_FAULT_SHARED_WRITE, "shared_write" },	\
			 { MMAPDEV_FAULT_PRIVATE_READ, "private_read" },	\
			 { MMAPDEV_FAULT_COW_SOURCE, "cow_source" })

/* VM_FAULT_RESULT_TRACE names more, but sparse refuses its restricted type. */
#define show_fault_result(result)					\
	__print_flags(result, "|",					\
		      { (__force unsigned long)VM_FAULT_OOM, "OOM" },	\
		      { (__force unsigned long)VM_FAULT_SIGBUS, "SIGBUS" }, \
		      { (__force unsigned long)VM_FAULT_LOCKED, "LOCKED" })

TRACE_EVENT(mmapdev_fault,
	TP_PROTO(struct vm_fault *vmf, enum mmapdev_event kind, vm_fault_t ret),
	TP_ARGS(vmf, kind, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(pgoff_t, index)
		__field(unsigned long, address)
		__field(int, kind)
		__field(unsigned int, result)
	),
	TP_fast_assign(
		__entry->object = vmf->vma->vm_file->f_mapping->host->i_ino;
		__entry->index = vmf->pgoff;
		__entry->address = vmf->address;
		__entry->kind = kind;
		__entry->result = (__force unsigned int)ret;
	),
	TP_printk("object=%lu index=%lu address=0x%lx kind=%s result=%s",
		  __entry->object, __entry->index, __entry->address,
		  show_fault_kind(__entry->kind),
		  show_fault_result(__entry->result))
);

TRACE_EVENT(mmapdev_fault_around,
	TP_PROTO(struct vm_fault *vmf, pgoff_t start, pgoff_t end,
		 vm_fault_t ret),
	TP_ARGS(vmf, start, end, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(pgoff_t, index)
		__field(pgoff_t, start)
		__field(pgoff_t, end)
		__field(bool, resolved)
	),
	TP_fast_assign(
		__entry->object = vmf->vma->vm_file->f_mapping->host->i_ino;
		__entry->index = vmf->pgoff;
		__entry->start = start;
		__entry->end = end;
		__entry->resolved = ret & VM_FAULT_NOPAGE;
	),
	TP_printk("object=%lu index=%lu start=%lu end=%lu resolved=%d",
		  __entry->object, __entry->index, __entry->start,
		  __entry->end, __entry->resolved)
);

TRACE_EVENT(mmapdev_folio_add,
	TP_PROTO(struct inode *inode, struct folio *folio),
	TP_ARGS(inode, folio),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(pgoff_t, index)
		__field(unsigned int, order)
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->index = folio->index;
		__entry->order = folio_order(folio);
		__entry->pfn = folio_pfn(folio);
	),
	TP_printk("object=%lu index=%lu order=%u pfn=0x%lx",
		  __entry->object, __entry->index, __entry->order,
		  __entry->pfn)
);

/* The folio no longer knows its object; its pfn ties it to folio_add. */
TRACE_EVENT(mmapdev_folio_free,
	TP_PROTO(struct folio *folio),
	TP_ARGS(folio),
	TP_STRUCT__entry(
		__field(pgoff_t, index)
		__field(unsigned int, order)
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__entry->index = folio->index;
		__entry->order = folio_order(folio);
		__entry->pfn = folio_pfn(folio);
	),
	TP_printk("index=%lu order=%u pfn=0x%lx",
		  __entry->index, __entry->order, __entry->pfn)
);

TRACE_EVENT(mmapdev_resize,
	TP_PROTO(struct inode *inode, loff_t from, loff_t to),
	TP_ARGS(inode, from, to),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(loff_t, from)
		__field(loff_t, to)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("object=%lu from=%lld to=%lld",
		  __entry->object, __entry->from, __entry->to)
);

#define show_fallocate_mode(mode)					\
	__print_flags(mode, "|",					\
		      { FALLOC_FL_KEEP_SIZE, "KEEP_SIZE" },		\
		      { FALLOC_FL_PUNCH_HOLE, "PUNCH_HOLE" },		\
		      { FALLOC_FL_ZERO_RANGE, "ZERO_RANGE" })

TRACE_EVENT(mmapdev_fallocate,
	TP_PROTO(struct inode *inode, int mode, loff_t offset, loff_t len,
		 int ret),
	TP_ARGS(inode, mode, offset, len, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(loff_t, offset)
		__field(loff_t, len)
		__field(int, mode)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->offset = offset;
		__entry->len = len;
		__entry->mode = mode;
		__entry->result = ret;
	),
	TP_printk("object=%lu offset=%lld len=%lld mode=%s result=%d",
		  __entry->object, __entry->offset, __entry->len,
		  show_fallocate_mode(__entry->mode), __entry->result)
);

TRACE_EVENT(mmapdev_mkwrite,
	TP_PROTO(struct vm_fault *vmf, u64 sequence, vm_fault_t ret),
	TP_ARGS(vmf, sequence, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(pgoff_t, index)
		__field(unsigned long, address)
		__field(u64, sequence)
		__field(unsigned int, result)
	),
	TP_fast_assign(
		__entry->object = vmf->vma->vm_file->f_mapping->host->i_ino;
		__entry->index = vmf->pgoff;
		__entry->address = vmf->address;
		__entry->sequence = sequence;
		__entry->result = (__force unsigned int)ret;
	),
	TP_printk("object=%lu index=%lu address=0x%lx sequence=%llu result=%s",
		  __entry->object, __entry->index, __entry->address,
		  __entry->sequence, show_fault_result(__entry->result))
);

TRACE_EVENT(mmapdev_writeback,
	TP_PROTO(struct inode *inode, struct folio *folio, u64 sequence,
		 int ret),
	TP_ARGS(inode, folio, sequence, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(pgoff_t, index)
		__field(u64, sequence)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->index = folio->index;
		__entry->sequence = sequence;
		__entry->result = ret;
	),
	TP_printk("object=%lu index=%lu sequence=%llu result=%d",
		  __entry->object, __entry->index, __entry->sequence,
		  __entry->result)
);

TRACE_EVENT(mmapdev_flush,
	TP_PROTO(struct inode *inode, loff_t from, loff_t to, u64 sequence,
		 int ret),
	TP_ARGS(inode, from, to, sequence, ret),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(loff_t, from)
		__field(loff_t, to)
		__field(u64, sequence)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->from = from;
		__entry->to = to;
		__entry->sequence = sequence;
		__entry->result = ret;
	),
	TP_printk("object=%lu from=%lld to=%lld sequence=%llu result=%d",
		  __entry->object, __entry->from, __entry->to,
		  __entry->sequence, __entry->result)
);

TRACE_EVENT(mmapdev_crash,
	TP_PROTO(struct inode *inode, u32 flags, u64 lost, u64 sequence),
	TP_ARGS(inode, flags, lost, sequence),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(u64, lost)
		__field(u64, sequence)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->lost = lost;
		__entry->sequence = sequence;
		__entry->flags = flags;
	),
	TP_printk("object=%lu lost=%llu flags=0x%x sequence=%llu",
		  __entry->object, __entry->lost, __entry->flags,
		  __entry->sequence)
);

TRACE_EVENT(mmapdev_inject,
	TP_PROTO(struct inode *inode, loff_t pos,
		 const struct mmapdev_rule *rule),
	TP_ARGS(inode, pos, rule),
	TP_STRUCT__entry(
		__field(unsigned long, object)
		__field(loff_t, pos)
		__field(u64, rule)
		__field(u32, event)
		__field(u32, action)
	),
	TP_fast_assign(
		__entry->object = inode->i_ino;
		__entry->pos = pos;
		__entry->rule = rule->id;
		__entry->event = rule->event;
		__entry->action = rule->action;
	),
	TP_printk("object=%lu pos=%lld rule=%llu event=%u action=%u",
		  __entry->object, __entry->pos, __entry->rule,
		  __entry->event, __entry->action)
);

#endif /* _MMAPDEV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
