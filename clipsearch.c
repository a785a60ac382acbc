/* clipsearch.c: the front door. main(), the command table, nothing else. */
#include "cli/cli.h"
#include "indexer/indexer.h"
#include "query/query.h"

int main(void) { return 2; }
