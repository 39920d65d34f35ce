-- What the journal must know of zones, nodes, drives and segments, so that bytes are found again.
-- A segment's row is committed before its first byte, so its entry precedes those of its extents.
SELECT journaled_table('zone', 'place', 'name');
SELECT journaled_table('node', 'place', 'name', 'zone_id', 'address', 'socket');
SELECT journaled_table('drive', 'place', 'uuid', 'node_id', 'path', 'weight', 'state', 'draining');
SELECT journaled_table(
    'segment', 'segment', 'storage_policy', 'layout', 'state', 'epoch', 'size', 'drives', 'confirmed',
    'cell_size');
