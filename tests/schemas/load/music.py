"""The shop of music: as many rows as Chinook has, a projection with `keys`, and the application's acts."""

from schemas import music
from schemas.load.acts import Act

NAME = music.NAME
ROWS = """
INSERT INTO music.artists SELECT n, 'artist ' || n FROM generate_series(1, 275) n;
INSERT INTO music.albums SELECT n, 'album ' || n, 1 + n % 275 FROM generate_series(1, 347) n;
INSERT INTO music.genres SELECT n, 'genre ' || n FROM generate_series(1, 25) n;
INSERT INTO music.tracks SELECT n, 'track ' || n, 60 + n % 400, 0.99, 1 + n % 347, 1 + n % 25
    FROM generate_series(1, 3503) n;
INSERT INTO music.playlists SELECT CAST(md5('playlist ' || n) AS uuid), 'playlist ' || n
    FROM generate_series(1, 18) n;
INSERT INTO music.playlist_tracks SELECT CAST(md5('playlist ' || 1 + n % 18) AS uuid), 1 + (n / 18 * 7) % 3503
    FROM generate_series(1, 8715) n ON CONFLICT DO NOTHING;
INSERT INTO music.employees SELECT n, 'employee ' || n, '2022-01-01', '{"level": 1}', nullif(n / 2, 0)
    FROM generate_series(1, 8) n;
INSERT INTO music.customers SELECT 'c' || n, 'company ' || n, 3 + n % 3 FROM generate_series(1, 59) n;
INSERT INTO music.invoices SELECT n, DATE '2021-01-01' + n, 'country ' || n % 24, 'c' || 1 + n % 59
    FROM generate_series(1, 412) n;
INSERT INTO music.invoice_lines SELECT 1 + n % 412, 1 + n / 412, 1, 0.99, 1 + n * 13 % 3503
    FROM generate_series(0, 2239) n;
"""
VIEWS = """
CREATE VIEW music.sale_documents AS
SELECT i.id, i.day, (SELECT json_agg(json_build_object('track', t.name, 'artist', r.name) ORDER BY n.line)
    FROM music.invoice_lines n LEFT JOIN music.tracks t ON t.id = n.track_id
    LEFT JOIN music.albums b ON b.id = t.album_id LEFT JOIN music.artists r ON r.id = b.artist_id
    WHERE n.invoice_id = i.id) AS sold
FROM music.invoices i;
"""
KEYED = '''
[projections.sale]
root = "music.invoices"
key = "id"
document = "music.sale_documents"
index = "{sale}"
[[projections.sale.follow]]
table = "music.tracks"
keys = "SELECT invoice_id FROM music.invoice_lines WHERE track_id = :id"
[[projections.sale.follow]]
table = "music.artists"
keys = """SELECT n.invoice_id FROM music.invoice_lines n JOIN music.tracks t ON t.id = n.track_id
    JOIN music.albums b ON b.id = t.album_id WHERE b.artist_id = :id"""
'''
TABLES, DECLARATION = music.TABLES + ROWS + VIEWS, music.DECLARATION + KEYED
LATER = music.LATER
EMPTIED = "music.playlist_tracks"
PLAYLIST = "CAST(md5('playlist ' || {playlist}) AS uuid)"
ACTS = (
    Act(
        20,
        "INSERT INTO music.invoices VALUES ({new}, now(), 'country', 'c{customer}')",
        "INSERT INTO music.invoice_lines VALUES ({new}, 1, 1, 0.99, {track})",
        "INSERT INTO music.invoice_lines VALUES ({new}, 2, 1, 0.99, {track})",
    ),
    Act(5, "INSERT INTO music.invoice_lines VALUES ({invoice}, {line}, 1, 1.99, {track})"),
    Act(8, "UPDATE music.invoice_lines SET invoice_id = {invoice}, line = {line} WHERE track_id = {track}"),
    Act(4, "UPDATE music.invoice_lines SET quantity = 6 + {line} % 2 WHERE invoice_id = {invoice}"),
    Act(2, "DELETE FROM music.invoice_lines WHERE (invoice_id, line) = ({invoice}, {line})"),
    Act(1, "DELETE FROM music.invoices WHERE id = {invoice}"),
    Act(10, "UPDATE music.tracks SET name = '{word}' WHERE id = {track}"),
    Act(3, "UPDATE music.tracks SET price = price + 0.01 WHERE id = {track}"),
    Act(0.3, "UPDATE music.tracks SET name = name || '.' WHERE id BETWEEN {track} AND {track} + 800"),
    Act(2, "UPDATE music.tracks SET album_id = {album} WHERE id = {track}"),
    Act(0.3, "DELETE FROM music.tracks WHERE id = {track}"),
    Act(3, "UPDATE music.artists SET name = '{word}' WHERE id = {artist}"),
    Act(3, "UPDATE music.albums SET title = '{word}', artist_id = {artist} WHERE id = {album}"),
    Act(0.5, "UPDATE music.genres SET name = '{word}' WHERE id = {genre}"),
    Act(0.5, f"UPDATE music.playlists SET name = '{{word}}' WHERE id = {PLAYLIST}"),
    Act(5, f"INSERT INTO music.playlist_tracks VALUES ({PLAYLIST}, {{track}})"),
    Act(3, "DELETE FROM music.playlist_tracks WHERE track_id = {track}"),
    Act(1, "UPDATE music.employees SET name = '{word}' WHERE id = {employee}"),
    Act(0.3, "UPDATE music.employees SET reports_to = 1 + {line} WHERE id = {employee}"),
    Act(2, "UPDATE music.customers SET company = '{word}' WHERE code = 'c{customer}'"),
    Act(1, "UPDATE music.customers SET support_id = {employee} WHERE code = 'c{customer}'"),
    Act(0.3, "UPDATE music.customers SET code = 'd{customer}' WHERE code = 'c{customer}'"),
    Act(0.3, "UPDATE music.customers SET code = 'c{customer}' WHERE code = 'd{customer}'"),
    Act(0.3, "UPDATE music.artists SET id = id + 5000 WHERE id = {artist}"),
    Act(0.3, "UPDATE music.artists SET id = id - 5000 WHERE id = {artist} + 5000"),
)
NUMBERS = {
    "customer": 59,
    "track": 3_503,
    "invoice": 412,
    "line": 7,
    "album": 347,
    "artist": 275,
    "genre": 25,
    "playlist": 18,
    "employee": 8,
}
