/* schema.c: the tables of a library, version 3. PRAGMA user_version holds the version, application_id says whose file it is
 * ("CLIP" in ASCII). A person may query all of it with the sqlite3 shell.
 *
 * settings   key, value            "model": id of the model that search uses; "last_indexed": local time; others as set
 *                                  "trial.ID" of a model: "TRIED AGAINST PHOTOS MEAN LEAST KEPT", two precisions, cosines in millionths, 0 or 1
 * roots      id, path              a folder that was indexed; no root lies inside another
 * photos     id, root_id
 *            path                  relative to the root; TEXT where it is UTF-8, else BLOB (see paths.c)
 *            size, mtime_ns, inode what tells a changed file; the inode is an unsigned 64-bit number kept as a signed one
 *            hash                  XXH3-128 of the content, 16 bytes; null when unknown
 *            width, height         pixels after turning, 0 when unknown
 *            format, camera, reason
 *            taken                 the camera's date, null when absent
 *            date                  taken or, without it, mtime_ns in local time: "YYYY-MM-DD HH:MM:SS"
 *            latitude, longitude   degrees, null when absent
 *            state                 0 present, 1 missing, 2 failed
 *            truncated             1: only a part of the picture was there
 * tags       photo_id, tag
 * models     id, name, dir, fingerprint, precision, dim
 *            vectors               how many vectors of present photos there are (kept by triggers)
 *            seq                   the highest vectors.seq ever given out
 * vectors    key                   model_id << 40 | photo_id; one model's vectors lie together in order of photo
 *            seq                   counts every vector written for the model: newer than N is seq > N
 *            vector                dim half-precision floats, little endian, of unit length
 *            photo_id, model_id    computed from key, for reading
 * caches     model_id and what the FAISS file of that model must look like: see cache.h
 * tallies    root_id, state, truncated, n   how many photos there are of each kind (kept by triggers)
 * folders    root_id, path, digest          the indexer's note about the files that are no photos
 * concepts   name                  letter case ignored
 *            fingerprint           of the model that it belongs to; (name, fingerprint) is unique
 *            weights, bias         dim floats, little endian, and a number: see store.h
 *            yes, no, unlabelled   how many photos it was learned from; words that helped or null; learned: local time
 *
 * adapters   fingerprint           of the model whose text vectors it corrects
 *            rank, maps            t becomes the unit vector along t + up (down' t); down and up: dim rows of rank floats each
 *            photos, captions      what it was learned from
 *            gain, learned         in reciprocal rank on held-out captions; local time
 *
 * Version 2 added concepts, version 3 adapters.
 *
 * Counts are kept by triggers because counting a million rows takes longer than a search. */
#include "store/library.h"

#include <stdio.h>

#define APPLICATION_ID 0x434c4950

static const char version_1[] =
    "CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE roots(id INTEGER PRIMARY KEY AUTOINCREMENT, path NOT NULL);"
    "CREATE UNIQUE INDEX roots_path ON roots(CAST(path AS BLOB));"

    "CREATE TABLE photos("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, root_id INTEGER NOT NULL, path NOT NULL,"
    "  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, hash BLOB,"
    "  width INTEGER NOT NULL, height INTEGER NOT NULL, format TEXT, taken TEXT, date TEXT NOT NULL, camera TEXT,"
    "  latitude REAL, longitude REAL, state INTEGER NOT NULL CHECK(state IN (0, 1, 2)),"
    "  truncated INTEGER NOT NULL CHECK(truncated IN (0, 1)), reason TEXT);"
    "CREATE UNIQUE INDEX photos_path ON photos(root_id, CAST(path AS BLOB));"
    "CREATE INDEX photos_file ON photos(inode, size, mtime_ns);"
    "CREATE INDEX photos_hash ON photos(hash) WHERE hash IS NOT NULL;"
    "CREATE INDEX photos_date ON photos(date);"
    "CREATE INDEX photos_latitude ON photos(latitude) WHERE latitude IS NOT NULL;"
    "CREATE INDEX photos_absent ON photos(state) WHERE state <> 0;"

    "CREATE TABLE tags(photo_id INTEGER NOT NULL, tag TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY(photo_id, tag))"
    "  WITHOUT ROWID;"
    "CREATE INDEX tags_tag ON tags(tag);"

    "CREATE TABLE models(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, dir TEXT NOT NULL,"
    "  fingerprint TEXT NOT NULL UNIQUE, precision TEXT NOT NULL, dim INTEGER NOT NULL,"
    "  vectors INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE vectors(key INTEGER PRIMARY KEY, seq INTEGER NOT NULL, vector BLOB NOT NULL,"
    "  photo_id INTEGER AS (key & 1099511627775), model_id INTEGER AS (key >> 40));"
    "CREATE INDEX vectors_seq ON vectors(model_id, seq);"
    "CREATE TABLE caches(model_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  count INTEGER NOT NULL, bytes INTEGER NOT NULL, hash BLOB NOT NULL);"

    "CREATE TABLE tallies(root_id INTEGER NOT NULL, state INTEGER NOT NULL, truncated INTEGER NOT NULL,"
    "  n INTEGER NOT NULL, PRIMARY KEY(root_id, state, truncated)) WITHOUT ROWID;"
    "CREATE TABLE folders(root_id INTEGER NOT NULL, path BLOB NOT NULL, digest BLOB NOT NULL,"
    "  PRIMARY KEY(root_id, path)) WITHOUT ROWID;"

    "CREATE TRIGGER photos_added AFTER INSERT ON photos BEGIN"
    "  INSERT INTO tallies VALUES(NEW.root_id, NEW.state, NEW.truncated, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;"
    "CREATE TRIGGER photos_changed AFTER UPDATE OF root_id, state, truncated ON photos"
    "  WHEN OLD.root_id <> NEW.root_id OR OLD.state <> NEW.state OR OLD.truncated <> NEW.truncated BEGIN"
    "  UPDATE tallies SET n = n - 1 WHERE root_id = OLD.root_id AND state = OLD.state AND truncated = OLD.truncated;"
    "  INSERT INTO tallies VALUES(NEW.root_id, NEW.state, NEW.truncated, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;"
    "CREATE TRIGGER photos_seen AFTER UPDATE OF state ON photos WHEN (OLD.state = 0) <> (NEW.state = 0) BEGIN"
    "  UPDATE models SET vectors = vectors + CASE NEW.state WHEN 0 THEN 1 ELSE -1 END"
    "    WHERE EXISTS(SELECT 1 FROM vectors WHERE key = (models.id << 40 | NEW.id)); END;"
    "CREATE TRIGGER photos_removed BEFORE DELETE ON photos BEGIN"
    "  DELETE FROM vectors WHERE key IN (SELECT id << 40 | OLD.id FROM models);"
    "  DELETE FROM tags WHERE photo_id = OLD.id;"
    "  UPDATE tallies SET n = n - 1 WHERE root_id = OLD.root_id AND state = OLD.state AND truncated = OLD.truncated; END;"
    "CREATE TRIGGER vectors_added AFTER INSERT ON vectors BEGIN"
    "  UPDATE models SET seq = max(seq, NEW.seq), vectors = vectors +"
    "    (SELECT count(*) FROM photos WHERE id = NEW.key & 1099511627775 AND state = 0) WHERE id = NEW.key >> 40; END;"
    "CREATE TRIGGER vectors_changed AFTER UPDATE OF seq ON vectors BEGIN"
    "  UPDATE models SET seq = max(seq, NEW.seq) WHERE id = NEW.key >> 40; END;"
    "CREATE TRIGGER vectors_removed AFTER DELETE ON vectors BEGIN"
    "  UPDATE models SET vectors = vectors -"
    "    (SELECT count(*) FROM photos WHERE id = OLD.key & 1099511627775 AND state = 0) WHERE id = OLD.key >> 40; END;"

    "PRAGMA application_id = 1129072976;";

static const char version_2[] =
    "CREATE TABLE concepts(name TEXT NOT NULL COLLATE NOCASE, fingerprint TEXT NOT NULL, weights BLOB NOT NULL,"
    "  bias REAL NOT NULL, yes INTEGER NOT NULL, no INTEGER NOT NULL, unlabelled INTEGER NOT NULL, words TEXT,"
    "  learned TEXT NOT NULL, PRIMARY KEY(name, fingerprint)) WITHOUT ROWID;";

static const char version_3[] =
    "CREATE TABLE adapters(fingerprint TEXT PRIMARY KEY, rank INTEGER NOT NULL, maps BLOB NOT NULL, photos INTEGER NOT NULL,"
    "  captions INTEGER NOT NULL, gain REAL NOT NULL, learned TEXT NOT NULL) WITHOUT ROWID;";

static const char *const steps[STORE_SCHEMA_VERSION] = {version_1, version_2, version_3};

static store_status read_pragma(db *d, const char *sql, int64_t *v, store_error *err)
{
    store_status st = db_run_int(db_prepare(d, sql), v, err);
    return st == STORE_E_NOT_FOUND ? store_fail(err, STORE_E_INTERNAL, "%s: no version", db_path(d)) : st;
}

/* One step and its number are one transaction: a kill leaves either version, never a half. */
static store_status climb(db *d, const char *sql, int to, store_error *err)
{
    char number[48];
    snprintf(number, sizeof number, "PRAGMA user_version = %d; COMMIT;", to);
    store_status st = db_exec(d, "BEGIN IMMEDIATE;", err);
    if (!st) st = db_exec(d, sql, err);
    if (!st) st = db_exec(d, number, err);
    if (st) db_rollback(d);
    return st;
}

static store_status refuse_foreign(db *d, int64_t version, store_error *err)
{
    int64_t id = 0, tables = 0;
    store_status st = read_pragma(d, "PRAGMA application_id", &id, err);
    if (!st) st = read_pragma(d, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (st || id == APPLICATION_ID || (version == 0 && tables == 0)) return st;
    return store_fail(err, STORE_E_CORRUPT, "%s: is a database of another program, not a clipsearch library: name another "
                      "file with --db", db_path(d));
}

store_status schema_upgrade(db *d, const char *const *step, int n, bool write, store_error *err)
{
    int64_t version = 0;
    store_status st = read_pragma(d, "PRAGMA user_version", &version, err);
    if (!st) st = refuse_foreign(d, version, err);
    if (st) return st;
    if (version > n || version < 0)
        return store_fail(err, STORE_E_VERSION, "%s: was made by a newer clipsearch (library version %lld, this program knows "
                          "%d): update clipsearch", db_path(d), (long long)version, n);
    if (version == n) return STORE_OK;
    if (!write && version == 0)
        return store_fail(err, STORE_E_NOT_FOUND, "%s: the library is empty: type \"clipsearch index FOLDER\" first",
                          db_path(d));
    if (!write)
        return store_fail(err, STORE_E_VERSION, "%s: was made by an older clipsearch: type \"clipsearch index\" once, which "
                          "brings it up to date", db_path(d));
    for (; !st && version < n; version++) st = climb(d, step[version], (int)version + 1, err);
    return st;
}

store_status schema_ready(db *d, bool write, store_error *err)
{
    return schema_upgrade(d, steps, STORE_SCHEMA_VERSION, write, err);
}
