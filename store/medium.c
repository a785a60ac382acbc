/* medium.c: what kind of place a library lies on.
 *
 * SQLite's log needs memory that all its processes share, and a network file system cannot give it to two machines. So on
 * one the library is used by one process at a time: the writer keeps it to itself, a reader holds a shared lock on the
 * writer's lock file (which the network does carry) for as long as it is open. Magic numbers: statfs(2). */
#include "store/library.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

const char *medium_pretend; /* for tests: the answer of medium_of */

const char *medium_network_name(long statfs_type)
{
    static const struct { unsigned magic; const char *name; } known[] = {
        {0x6969, "NFS"},       {0x517b, "SMB"},    {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"},  {0x564c, "NCP"},
        {0x01021997, "9P"},    {0x5346414f, "AFS"}, {0x6b414653, "AFS"},  {0x73757245, "Coda"}, {0x00c36400, "Ceph"},
        {0x0bd00bd0, "Lustre"}, {0x01161970, "GFS2"}, {0x7461636f, "OCFS2"}, {0x47504653, "GPFS"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].magic == (unsigned)statfs_type) return known[i].name;
    return NULL;
}

const char *medium_of(const char *path)
{
    if (medium_pretend) return medium_pretend;
    struct statfs f;
    if (!statfs(path, &f)) return medium_network_name((long)f.f_type);
    char *copy = strdup(path);
    const char *name = copy && !statfs(dirname(copy), &f) ? medium_network_name((long)f.f_type) : NULL;
    free(copy);
    return name;
}
