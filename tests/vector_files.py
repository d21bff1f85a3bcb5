"""Vector files of tests."""

from contextlib import nullcontext

import numpy as np
import pytest
import shapely
from pyogrio.raw import write

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile"}


def write_vectors(path, geometries, crs="EPSG:32617", classes=None, layer=None, kind="Unknown", append=False):
    """`geometries` (None: a table without any) as features, with a field "class" where `classes` are given."""
    binary = (
        None
        if geometries is None
        else np.array([None if one is None else shapely.to_wkb(one) for one in geometries], dtype=object)
    )
    fields = [] if classes is None else [np.array(classes, dtype=object)]
    names = [] if classes is None else ["class"]
    more = {"layer": layer, "append": append, "geometry_type": kind}
    with pytest.warns(UserWarning, match="'crs' was not provided") if crs is None else nullcontext():
        write(path, binary, fields, names, crs=crs, driver=DRIVERS[path.suffix], **more)
    return path
