// A click on a head sorts the table by that column, another click the other way round.
for (const head of document.querySelectorAll("#kernels th")) head.onclick = () => {
  const body = document.querySelector("#kernels tbody"), column = head.cellIndex;
  const way = head.dataset.way === "down" ? 1 : -1;
  head.dataset.way = way === 1 ? "up" : "down";
  const key = row => row.cells[column].textContent, number = text => parseFloat(text);
  const compare = (a, b) => isNaN(number(a)) || isNaN(number(b))
    ? a.localeCompare(b) : number(a) - number(b);
  [...body.rows].sort((a, b) => way * compare(key(a), key(b))).forEach(row => body.append(row));
};
