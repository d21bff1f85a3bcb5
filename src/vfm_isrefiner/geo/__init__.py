"""Reading geodata; the only place that imports rasterio, pyogrio and shapely."""
