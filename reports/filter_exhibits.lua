-- Figures and tables: from pandoc's elements to calls of template.typ.

local text = require("filter_text")
local fail, quoted, fragments, typst, raw_block = text.fail, text.quoted, text.fragments, text.typst, text.raw_block
local LONG_IN_TEXT, LONG_IN_TABLE = text.long_in_text, text.long_in_table

local CELL_END = "\1" -- between the cells of a table on their way through the writer
local TALLEST_ROW = 1500 -- bytes; a table with a larger cell may split its rows across pages

local M = {
  limit = "auto", -- typst expression: how tall a figure may be; page 1 passes its own
  scale = "1", -- typst expression: how large the type of a table is; page 1 passes its own
}

-- Figures ------------------------------------------------------------------------------

local EXTENSIONS = { ["image/svg+xml"] = "svg", ["image/png"] = "png", ["image/jpeg"] = "jpg" }

local function saved(source)
  local mime, bytes = pandoc.mediabag.fetch(source)
  local extension = EXTENSIONS[(mime or ""):match("^[^;]*")]
  if not extension then
    fail("a figure is of type %s; use SVG (or PNG, JPEG)", mime or "unknown")
  end
  local name = pandoc.sha1(bytes) .. "." .. extension
  local file = assert(io.open(name, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return name
end

function M.image_code(image)
  local alt = pandoc.utils.stringify(image.caption)
  if alt == "" then
    fail("a figure has no alt text (%s); give its img an alt attribute", image.src:sub(1, 60))
  end
  local style = image.attributes.style or ""
  local width = (image.attributes.width or style:match("width:%s*([%d.]+%%)") or "100%"):match("^[%d.]+%%$")
  return string.format("exhibit-image(%s, alt: %s, width: %s, limit: %s)", quoted(saved(image.src)), quoted(alt),
    width or "100%", M.limit)
end

function M.set_figure(figure)
  local images = pandoc.List()
  figure.content:walk({ Image = function(image) images:insert(image) end })
  if #images ~= 1 then
    return nil
  end
  local caption = typst(figure.caption.long, LONG_IN_TEXT)
  return raw_block(string.format("#exhibit-figure(%s, caption: [%s])", M.image_code(images[1]), caption)), false
end

-- Tables -------------------------------------------------------------------------------

-- The widest unbreakable pieces of a cell, as typst expressions with a rough width.
local function pieces(blocks)
  local found = pandoc.List()
  local function add(code, width)
    found:insert({ code = code, width = width })
  end
  blocks:walk({
    traverse = "topdown",
    Span = function(span)
      local class = text.verdict_class(span)
      if class then
        local label = pandoc.utils.stringify(span)
        add("word(" .. quoted(class) .. ", " .. quoted(label) .. ")", utf8.len(label) + 3)
        return nil, false
      end
    end,
    Math = function(math)
      add("[" .. text.set_math(math).text .. "]", #math.text)
    end,
    Code = function(code)
      for _, part in ipairs(fragments(code.text, LONG_IN_TABLE)) do
        add("raw(" .. quoted(part) .. ")", 1.3 * utf8.len(part))
      end
    end,
    Str = function(str)
      for _, part in ipairs(fragments(str.text, LONG_IN_TABLE)) do
        add(quoted(part), utf8.len(part))
      end
    end,
  })
  return found
end

local function widest(candidates)
  candidates:sort(function(a, b)
    return a.width > b.width or (a.width == b.width and a.code < b.code)
  end)
  local codes, seen = {}, {}
  for _, piece in ipairs(candidates) do
    if not seen[piece.code] and #codes < 6 then
      seen[piece.code] = true
      codes[#codes + 1] = piece.code
    end
  end
  return "(" .. table.concat(codes, ", ") .. (#codes == 1 and ",)" or ")")
end

local function looks_numeric(content)
  return content == "" or content:gsub("−", "-"):find("^[-+±(%[]?[$€£¥]?%.?%d") ~= nil
end

-- From the alignment of column or cells; without any, by what the column holds.
local function column_align(spec, head, body, i)
  local names = { AlignLeft = "left", AlignRight = "right", AlignCenter = "center" }
  local align = names[spec[1]]
  for _, row in ipairs(head) do
    align = align or names[row.cells[i].alignment]
  end
  local numeric = #body > 0
  for _, row in ipairs(body) do
    align = align or names[row.cells[i].alignment]
    numeric = numeric and looks_numeric(pandoc.utils.stringify(row.cells[i].contents))
  end
  return align or (numeric and "right" or "left")
end

local function check_grid(rows, columns)
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row.cells) do
      if cell.row_span ~= 1 or cell.col_span ~= 1 then
        fail("a table has a cell that spans rows or columns (%q); give it one cell a column (pandas: reset_index())",
          pandoc.utils.stringify(cell.contents))
      end
    end
    if #row.cells ~= columns then
      fail("a table row has %d cells of %d columns", #row.cells, columns)
    end
  end
end

-- All cells go through the writer at once, a call costs most of a millisecond.
local function cells_code(rows)
  local blocks, cells = pandoc.Blocks({}), {}
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row.cells) do
      blocks:extend(cell.contents)
      blocks:insert(raw_block(CELL_END))
    end
  end
  for code in typst(blocks, LONG_IN_TABLE):gmatch("(.-)" .. CELL_END) do
    cells[#cells + 1] = "[" .. code:gsub("^%s+", ""):gsub("%s+$", "") .. "],"
  end
  return cells
end

-- A typst array of rows, each an array of cells.
local function rows_code(rows, columns)
  local cells, lines = cells_code(rows), {}
  if #cells ~= #rows * columns then
    fail("a table cell holds the control character U+0001; take it out")
  end
  for i = 1, #cells, columns do
    lines[#lines + 1] = "(" .. table.concat(cells, " ", i, i + columns - 1) .. "),\n"
  end
  return "(" .. table.concat(lines) .. ")"
end

local function columns_code(specs, head, body)
  local columns, splits = {}, false
  for i, spec in ipairs(specs) do
    local in_head, in_body = pandoc.List(), pandoc.List()
    for _, row in ipairs(head) do
      in_head:extend(pieces(row.cells[i].contents))
    end
    for _, row in ipairs(body) do
      in_body:extend(pieces(row.cells[i].contents))
      splits = splits or #pandoc.utils.stringify(row.cells[i].contents) > TALLEST_ROW
    end
    columns[i] = string.format("(align: %s, head: %s, body: %s),\n", column_align(spec, head, body, i),
      widest(in_head), widest(in_body))
  end
  return "(" .. table.concat(columns) .. ")", splits
end

function M.set_table(tbl)
  local head, body = tbl.head.rows, pandoc.List()
  for _, part in ipairs(tbl.bodies) do
    body:extend(part.head)
    body:extend(part.body)
  end
  body:extend(tbl.foot.rows)
  check_grid(head, #tbl.colspecs)
  check_grid(body, #tbl.colspecs)
  local columns, splits = columns_code(tbl.colspecs, head, body)
  local caption = typst(tbl.caption.long, LONG_IN_TEXT)
  return raw_block(string.format("#exhibit-table(caption: %s, columns: %s, splits: %s, scale: %s,\nhead: %s,\nbody: %s)",
    caption ~= "" and "[" .. caption .. "]" or "none", columns, splits, M.scale, rows_code(head, #tbl.colspecs), rows_code(body, #tbl.colspecs))), false
end

return M
