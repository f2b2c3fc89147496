/*
 * A resource manager of WAL, as an extension has one (PostgreSQL 15 and later). Its records put a
 * letter at the end of every row of a page.
 */
#include "postgres.h"

#include "access/bufmask.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "access/xlogutils.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 160000
#define RelFileLocator RelFileNode
#define rd_locator rd_node
#endif

PG_MODULE_MAGIC;

/* Kinds of records; the blocks of the second are in its own data only. */
#define RMGR_NAMED 0x00
#define RMGR_HIDDEN 0x10

/* Main data of a hidden record. */
typedef struct
{
	RelFileLocator locator;
	BlockNumber block;
	char letter;
} hidden;

/* Main data of a named one: long enough for a length of four bytes. */
static char filler[300];

static void
letter_page(Page page, char letter)
{
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	for (OffsetNumber i = FirstOffsetNumber; i <= max; i++)
	{
		ItemId id = PageGetItemId(page, i);

		if (ItemIdIsNormal(id))
			((char *) PageGetItem(page, id))[ItemIdGetLength(id) - 1] = letter;
	}
}

static void
redo_named(XLogReaderState *record)
{
	for (int id = 0; id <= XLogRecMaxBlockId(record); id++)
	{
		Buffer buffer;
		Size len;

		if (!XLogRecHasBlockRef(record, id))
			continue;
		if (XLogReadBufferForRedo(record, id, &buffer) == BLK_NEEDS_REDO)
		{
			letter_page(BufferGetPage(buffer), *XLogRecGetBlockData(record, id, &len));
			PageSetLSN(BufferGetPage(buffer), record->EndRecPtr);
			MarkBufferDirty(buffer);
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
	}
}

static void
redo_hidden(XLogReaderState *record)
{
	hidden h;
	Buffer buffer;

	memcpy(&h, XLogRecGetData(record), sizeof(h));
	buffer = XLogReadBufferExtended(h.locator, MAIN_FORKNUM, h.block, RBM_NORMAL, InvalidBuffer);
	if (!BufferIsValid(buffer))
		return;
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (PageGetLSN(BufferGetPage(buffer)) < record->EndRecPtr)
	{
		letter_page(BufferGetPage(buffer), h.letter);
		PageSetLSN(BufferGetPage(buffer), record->EndRecPtr);
		MarkBufferDirty(buffer);
	}
	UnlockReleaseBuffer(buffer);
}

static void
rmgr_redo(XLogReaderState *record)
{
	if ((XLogRecGetInfo(record) & XLR_RMGR_INFO_MASK) == RMGR_HIDDEN)
		redo_hidden(record);
	else
		redo_named(record);
}

static void
rmgr_desc(StringInfo buf, XLogReaderState *record)
{
}

static const char *
rmgr_identify(uint8 info)
{
	return (info & XLR_RMGR_INFO_MASK) == RMGR_HIDDEN ? "HIDDEN" : "NAMED";
}

static RmgrData rmgr = {
	.rm_name = "letters",
	.rm_redo = rmgr_redo,
	.rm_desc = rmgr_desc,
	.rm_identify = rmgr_identify,
};

void _PG_init(void);

void
_PG_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		RegisterCustomRmgr(RM_EXPERIMENTAL_ID, &rmgr);
}

PG_FUNCTION_INFO_V1(letters_named);

/* letters_named(relation, first block, number of blocks, letter): one record that names them all. */
Datum
letters_named(PG_FUNCTION_ARGS)
{
	BlockNumber first = PG_GETARG_INT32(1);
	int n = PG_GETARG_INT32(2);
	char letter = *text_to_cstring(PG_GETARG_TEXT_PP(3));
	Relation rel;
	Buffer buffers[XLR_MAX_BLOCK_ID + 1];
	XLogRecPtr end;

	if (n < 1 || 2 * (n - 1) > XLR_MAX_BLOCK_ID)
		elog(ERROR, "%d blocks", n);
	rel = relation_open(PG_GETARG_OID(0), RowExclusiveLock);
	for (int i = 0; i < n; i++)
	{
		buffers[i] = ReadBuffer(rel, first + i);
		LockBuffer(buffers[i], BUFFER_LOCK_EXCLUSIVE);
	}
	XLogEnsureRecordSpace(XLR_MAX_BLOCK_ID, XLR_MAX_BLOCK_ID + 2);
	START_CRIT_SECTION();
	XLogBeginInsert();
	for (int i = 0; i < n; i++)
	{
		letter_page(BufferGetPage(buffers[i]), letter);
		MarkBufferDirty(buffers[i]);
		XLogRegisterBuffer(2 * i, buffers[i], REGBUF_STANDARD); /* ids may have gaps */
		XLogRegisterBufData(2 * i, &letter, 1);
	}
	XLogRegisterData(filler, sizeof(filler));
	end = XLogInsert(RM_EXPERIMENTAL_ID, RMGR_NAMED);
	for (int i = 0; i < n; i++)
		PageSetLSN(BufferGetPage(buffers[i]), end);
	END_CRIT_SECTION();
	for (int i = 0; i < n; i++)
		UnlockReleaseBuffer(buffers[i]);
	relation_close(rel, RowExclusiveLock);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(letters_hidden);

/*
 * letters_hidden(relation, block, letter): a record that names no block, and is marked as one that
 * changes relations in another way, as its writer has to.
 */
Datum
letters_hidden(PG_FUNCTION_ARGS)
{
	char letter = *text_to_cstring(PG_GETARG_TEXT_PP(2));
	Relation rel = relation_open(PG_GETARG_OID(0), RowExclusiveLock);
	hidden h = {.locator = rel->rd_locator, .block = PG_GETARG_INT32(1), .letter = letter};
	Buffer buffer = ReadBuffer(rel, h.block);
	XLogRecPtr end;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	letter_page(BufferGetPage(buffer), letter);
	MarkBufferDirty(buffer);
	XLogBeginInsert();
	XLogRegisterData((char *) &h, sizeof(h));
	end = XLogInsert(RM_EXPERIMENTAL_ID, RMGR_HIDDEN | XLR_SPECIAL_REL_UPDATE);
	PageSetLSN(BufferGetPage(buffer), end);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	relation_close(rel, RowExclusiveLock);
	PG_RETURN_VOID();
}
