"""How is something kept safely on disk, locked, named, refused and reported?

The one package below all others. It needs the standard library alone, so whoever imports it waits
for nothing.

    errors          CmpcError, from which every error of cmpc derives, and its exit code
    libraries       which extra brings a library that is missing?
    machine_faults  is it the machine's fault, and not that of the network at work?
    files           a file that is there whole or not at all
    json_files      the same of a JSON document, and reading one back
    folders         new, empty, nearest, made whole and then renamed
    leftovers       what killed processes left behind
    cache           where is everything that is kept between runs?
    cache_users     which processes use a cache now?
    trimming        what of a cache may go?
    hashing         by which hash is a file or a document known?
    locks           one process at a time, and for whom the others wait
    registry        a table of names, each loaded on use
    names           few of many names, and the nearest to a misspelt one
    name_lists      a text file with one name a line
    printable       text of any file name
    progress        how far is it?
    units           what is one of those that users read?
    closeable       what is closed at the end of its ``with`` block
"""
