"""The public names of this package, once: type checkers read them here, and `__init__.py` too."""

from hf_equi.image_audit.pictures import Picture as Picture
from hf_equi.image_audit.pictures import PictureSet as PictureSet
from hf_equi.image_audit.pictures import read_pictures as read_pictures
from hf_equi.image_audit.report import write_report as write_report
from hf_equi.image_audit.run import ImageAudit as ImageAudit
from hf_equi.image_audit.run import ImageAuditResult as ImageAuditResult
from hf_equi.image_audit.run import audit_images as audit_images
from hf_equi.image_audit.subjects import make_models as make_models
from hf_equi.image_audit.summary import summarise as summarise
